"""A `tigerbot serve` of a script's own: started on a free port, stopped at the end."""

import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request


class Server:
    def __init__(self, program, models, options=(), environment=None):
        self.lines = []
        self.begin = time.time()
        self.process = subprocess.Popen(
            [program, "serve", *models, "--port", "0", "--access-log", "none", *options],
            stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
        self.port = None
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.search(r"at (https?)://\S+:(\d+) after", line)
            if found:
                self.scheme, self.port = found[1], int(found[2])
                break
        if self.port is None:
            raise SystemExit("the server did not start:\n" + "".join(self.lines))
        self.start_seconds = time.time() - self.begin
        # What it says later must not fill the pipe.
        threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read().decode()

    def metrics(self):
        values = {}
        for line in self.get("/metrics").splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[re.sub(r'\{model="[^"]*"\}', "", name)] = float(value)
        return values

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.loads(answer.read())

    def stop(self, wait=60):
        """Exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(wait)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
