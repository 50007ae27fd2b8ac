"""A web server with faults, for the tests of fetching models.

usage: server.py FOLDER

Serves FOLDER on 127.0.0.1 and prints its port. FOLDER/faults.json says what goes wrong: a path's
list of faults, one for each request in turn, then none. A fault is "status:500", "cut:1000" (the
connection ends after so many bytes), "norange" (Range is ignored), "wrongrange" (other bytes than
asked), "short:1000" (a complete answer of fewer bytes) or "redirect:URL"; with a "*" before it, it
stands for all requests from there on. FOLDER/requests.log gets a line for each request: path,
Range and Authorization, "-" where there is none. Ends when its standard input does.
"""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

folder = Path(sys.argv[1])
lock = threading.Lock()
count = {}


def next_fault(path):
    faults_file = folder / "faults.json"
    faults = json.loads(faults_file.read_text()).get(path, []) if faults_file.exists() else []
    turn = count.get(path, 0)
    count[path] = turn + 1
    for fault in faults[: turn + 1]:
        if fault.startswith("*"):
            return fault[1:]
    return faults[turn] if turn < len(faults) else ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, headers, body, announced=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.end_headers()
        self.wfile.write(body)
        if announced is not None and announced != len(body):
            self.close_connection = True

    def do_GET(self):
        path = self.path.split("?")[0]
        asked = self.headers.get("Range")
        with lock:
            fault, _, argument = next_fault(path).partition(":")
            with open(folder / "requests.log", "a") as log:
                log.write(f"{path} {asked or '-'} {self.headers.get('Authorization') or '-'}\n")
        if fault == "status":
            return self.answer(int(argument), {}, b"an error page")
        if fault == "redirect":
            return self.answer(302, {"Location": argument}, b"")
        file = folder / path.lstrip("/").replace("%2F", "_")
        if file.is_dir():
            file = file / "index.html"
        if not file.is_file():
            return self.answer(404, {}, b"no such page")
        body = file.read_bytes()
        status, headers, start = 200, {}, 0
        match = re.fullmatch(r"bytes=(\d+)-", asked or "")
        if match and fault != "norange":
            start = int(match[1])
            if start >= len(body):
                return self.answer(416, {"Content-Range": f"bytes */{len(body)}"}, b"")
            if fault == "wrongrange":
                start = 0
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        body = body[start:]
        if fault == "cut":
            return self.answer(status, headers, body[: int(argument)], len(body))
        if fault == "short":
            body = body[: int(argument)]
        return self.answer(status, headers, body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the tests


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
