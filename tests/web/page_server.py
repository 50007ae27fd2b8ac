"""Serves the web page's files as the program does, with a model whose answers a test writes."""

import http.server
import json
import pathlib
import re
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "src/serve/web"
KATEX_FONTS = pathlib.Path("/usr/share/fonts/truetype/katex")
LIBRARIES = {
    "lib/marked.min.js": "/usr/share/javascript/marked/marked.min.js",
    "lib/purify.min.js": "/usr/share/nodejs/dompurify/dist/purify.min.js",
    "lib/highlight.min.js": "/usr/share/javascript/highlight.js/highlight.min.js",
    "lib/katex.min.js": "/usr/share/javascript/katex/katex.min.js",
    "lib/katex.min.css": "/usr/share/javascript/katex/katex.min.css",
}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2"}


def security_policy():
    """The policy that the program sends, read from its source: the page is tested under the real one."""
    source = (PAGE / "web_assets.cpp").read_text()
    value = source.split("kContentSecurityPolicy =", 1)[1].split(";\n\n", 1)[0]
    return "".join(re.findall(r'"([^"]*)"', value))


class Answer:
    """What the next request gets: pieces of text, `pause` seconds apart, or an HTTP status."""

    def __init__(self, pieces=(), pause=0.0, status=200, message="", finish="stop", cut=False):
        self.pieces, self.pause, self.status, self.message = list(pieces), pause, status, message
        self.finish, self.cut = finish, cut


class PageServer:
    def __init__(self, address=("127.0.0.1", 0)):
        self.requests = []  # bodies of the completions, in order
        self.authorizations = []
        self.hung_up = threading.Event()  # a client left in the middle of an answer
        self.answers = []  # used up one by one; the last stays
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def respond(self, status, content_type, body):
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.send_header("content-security-policy", security_policy())
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                path = self.path.lstrip("/") or "index.html"
                if path == "v1/models":
                    body = {"object": "list", "data": [{"id": "first-model"}, {"id": "second-model"}]}
                    return self.respond(200, "application/json", json.dumps(body).encode())
                if path.startswith("lib/fonts/"):
                    file = KATEX_FONTS / pathlib.Path(path).name
                elif path in LIBRARIES:
                    file = pathlib.Path(LIBRARIES[path])
                else:
                    file = PAGE / pathlib.Path(path).name
                if not file.is_file():
                    return self.respond(404, "text/plain", b"none")
                return self.respond(200, TYPES.get(file.suffix, "text/plain"), file.read_bytes())

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.requests.append(request)
                outer.authorizations.append(self.headers.get("authorization"))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                if answer.status != 200:
                    body = json.dumps({"error": {"message": answer.message, "type": "invalid_request_error"}})
                    return self.respond(answer.status, "application/json", body.encode())
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                self.close_connection = True
                try:
                    for piece in answer.pieces:
                        self.event({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
                        time.sleep(answer.pause)
                    if answer.cut:
                        return
                    self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish}]})
                    self.event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": len(answer.pieces)}})
                    self.wfile.write(b"data: [DONE]\n\n")
                except (BrokenPipeError, ConnectionResetError):
                    outer.hung_up.set()

            def event(self, value):
                self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
                self.wfile.flush()

        self.server = http.server.ThreadingHTTPServer(address, Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
