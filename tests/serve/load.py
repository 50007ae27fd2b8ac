#!/usr/bin/env python3
"""Many streaming clients at once: each answer must be what the same request gets alone.

    tests/serve/load.py build/tigerbot --clients 1000 --new-tokens 24

Prints one JSON object: answers that were right, wrong and refused (429, 503), seconds, tokens/s, and
the server's memory before and after. Ends with status 1 if an answer was wrong or a block is lost.
"""

import argparse
import asyncio
import json
import sys
import time

from started_server import Server

TOPICS = ["rain", "bread", "ships", "glass", "birds", "tea", "maps", "iron"]


def body(i, arguments):
    return {"messages": [{"role": "user", "content": f"Say something about {TOPICS[i % 8]}, no. {i}."}],
            "seed": i, "temperature": 1 if i % 2 else 0, "max_tokens": arguments.new_tokens,
            "ignore_eos": True, "stream": True}


async def ask(port, request):
    """Status, text and parts of one streamed answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        data = json.dumps(request).encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        await writer.drain()
        answer = await reader.read(-1)
    finally:
        writer.close()
    if not answer:
        return 0, "", 0
    status = int(answer[9:12])
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b"chunked" in head:
        whole, at = b"", 0
        while True:
            end = rest.index(b"\r\n", at)
            size = int(rest[at:end], 16)
            if size == 0:
                break
            whole += rest[end + 2:end + 2 + size]
            at = end + 2 + size + 2
        rest = whole
    if status != 200:
        return status, rest.decode(), 0
    text, tokens = "", 0
    for line in rest.decode().split("\n\n"):
        if line.startswith("data: {"):
            chunk = json.loads(line[6:])
            if "error" in chunk:
                return chunk["error"]["code"], line, tokens
            for choice in chunk["choices"]:
                text += choice["delta"].get("content") or ""
                tokens += 1
    if not rest.endswith(b"data: [DONE]\n\n"):
        return "cut", text, tokens
    return 200, text, tokens


async def run(server, arguments):
    alone = {}
    # Twins of some: computing all one by one would take too long.
    for i in range(0, arguments.clients, max(1, arguments.clients // arguments.twins)):
        alone[i] = (await ask(server.port, body(i, arguments)))[1]
    before = server.metrics()
    begin = time.time()
    answers = await asyncio.gather(*[ask(server.port, body(i, arguments))
                                     for i in range(arguments.clients)], return_exceptions=True)
    seconds = time.time() - begin
    after = server.metrics()
    result = {"clients": arguments.clients, "right": 0, "unchecked": 0, "wrong": 0, "refused": 0, "broken": 0}
    for i, answer in enumerate(answers):
        if isinstance(answer, Exception):
            result["broken"] += 1
        elif answer[0] in (429, 503):
            result["refused"] += 1
        elif answer[0] != 200:
            result["wrong"] += 1
        elif i in alone:
            result["right" if answer[1] == alone[i] else "wrong"] += 1
        else:
            result["unchecked"] += 1
    tokens = after["tigerbot_generated_tokens_total"] - before["tigerbot_generated_tokens_total"]
    result.update(
        seconds=round(seconds, 2), tokens=int(tokens), tokens_per_second=round(tokens / seconds, 1),
        resident_mib_before=round(before["process_resident_memory_bytes"] / 2**20),
        resident_mib_after=round(after["process_resident_memory_bytes"] / 2**20),
        descriptors_before=int(before["process_open_fds"]),
        descriptors_after=int(after["process_open_fds"]),
        lost_blocks=int(after["tigerbot_cache_blocks"] - after["tigerbot_cache_blocks_free"]))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tigerbot")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--twins", type=int, default=100, help="answers compared with their twin")
    parser.add_argument("--new-tokens", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--serve", action="append", default=[], help="an option of tigerbot serve")
    arguments = parser.parse_args()
    options = [word for option in arguments.serve for word in option.split()]
    with Server(arguments.tigerbot, [arguments.model], options) as server:
        results = [asyncio.run(run(server, arguments)) for _ in range(arguments.rounds)]
        status = server.stop(120)
    print(json.dumps(results[0] if arguments.rounds == 1 else results))
    bad = any(r["wrong"] or r["broken"] or r["lost_blocks"] for r in results)
    sys.exit(1 if bad or status != 0 else 0)


main()
