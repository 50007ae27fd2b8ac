#!/usr/bin/env python3
"""Starts the server with a model, asks it a question in each language, and leaves it running until
Ctrl-C.

    recipes/serve_model.py --model out/tigerbot-mini/tuned/result/final
    recipes/serve_model.py --model smollm2-135m-instruct --stop     ends after the answers

The port is --port (8080), or a free one where that is taken. Needs the program `tigerbot`
(--tigerbot PATH, or in $PATH).
"""

import argparse
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

QUESTIONS = ["How do I list files in Linux?", "命令 cp 是做什么的？", "cat コマンドは何をしますか？",
             "데비안은 무엇인가요?"]


def die(message):
    sys.exit(f"tigerbot: {message}")


def say(message):
    print(message, file=sys.stderr, flush=True)


def free_port(wanted):
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    die("no port is free")


def get(address, body=None):
    request = urllib.request.Request(address, data=body and json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


def wait_until_up(server, address):
    while True:
        if server.poll() is not None:
            die(f"the server ended with status {server.returncode}")
        try:
            return get(f"{address}/v1/models")["data"][0]["id"]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a directory, a .gguf file, or a name that pull knows")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--max-tokens", type=int, default=64, help="of an answer (64)")
    parser.add_argument("--stop", action="store_true", help="end after the answers")
    parser.add_argument("--tigerbot", default="tigerbot", help="the program")
    arguments = parser.parse_args()
    port = free_port(arguments.port)
    address = f"http://127.0.0.1:{port}"
    try:
        server = subprocess.Popen([arguments.tigerbot, "serve", arguments.model, "--port", str(port)])
    except OSError as error:
        die(f"{arguments.tigerbot}: cannot be started: {error.strerror}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        model = wait_until_up(server, address)
        for question in QUESTIONS:
            answer = get(f"{address}/v1/chat/completions", {
                "model": model, "messages": [{"role": "user", "content": question}],
                "temperature": 0, "max_tokens": arguments.max_tokens})
            say(f"> {question}\n{answer['choices'][0]['message']['content'].strip()}\n")
        if not arguments.stop:
            say(f"the page: {address}    the API: {address}/v1    Ctrl-C ends it")
            server.wait()
    except KeyboardInterrupt:
        pass
    except (urllib.error.URLError, KeyError, ValueError) as error:
        die(f"{address}: no answer: {error}")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
