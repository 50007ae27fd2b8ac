#!/usr/bin/env python3
"""A server under everything at once: answers that are read, broken off, or taken very slowly, huge
and malformed requests, connections that do nothing.

    tests/serve/soak.py build/tigerbot --minutes 10

At the end all blocks must be free, descriptors back where they were, memory flat after the first
third, and an answer must say what it said at the beginning. One JSON object, status 1 if not.
"""

import argparse
import asyncio
import json
import random
import sys
import time

from started_server import Server

WORDS = "the a of to and in is it you that was for on are with as his they be at one have this".split()
HEAD = ("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: {}\r\n\r\n")
counts = {}


def chat(rng, **more):
    prompt = " ".join(rng.choices(WORDS, k=rng.choice([3, 20, 200])))
    return {"messages": [{"role": "user", "content": prompt}], "max_tokens": rng.choice([1, 8, 40]),
            "seed": rng.randrange(10**6), "temperature": rng.choice([0, 1]),
            "n": rng.choice([1, 1, 1, 3]), **more}


def post(body, path="/v1/chat/completions"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HEAD.format(path, len(data)).encode() + data


async def read_answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    if b"chunked" in head:
        while await reader.readuntil(b"\r\n") != b"0\r\n":
            pass
        await reader.readuntil(b"\r\n")
    else:
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    return status


async def whole(rng, reader, writer):
    for _ in range(rng.randrange(1, 4)):
        writer.write(post(chat(rng, stream=rng.random() < 0.5)))
        status = await read_answer(reader)
        assert status in (200, 503), status


async def broken_off(rng, reader, writer):
    writer.write(post(chat(rng, stream=True, ignore_eos=True, max_tokens=200)))
    for _ in range(rng.randrange(0, 5)):
        await reader.readuntil(b"\n\n")


async def broken_before(rng, reader, writer):
    data = post(chat(rng))
    writer.write(data[:rng.randrange(1, len(data))])
    await asyncio.sleep(rng.random() / 10)


async def slow_reader(rng, reader, writer):
    writer.write(post(chat(rng, stream=True, logprobs=True, top_logprobs=20, max_tokens=60)))
    end = b""
    while True:
        part = await reader.read(rng.randrange(1, 400))
        end = (end + part)[-400:]  # what marks the end may come in two parts
        if not part or b"[DONE]" in end:
            return
        await asyncio.sleep(rng.random() / 20)


async def huge(rng, reader, writer):
    kind = rng.randrange(3)
    if kind == 0:
        writer.write(post({"messages": [{"role": "user", "content": "x" * 2_000_000}]}))
        expected = (400,)
    elif kind == 1:
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                     b"application/json\r\nContent-Length: 999999999\r\n\r\n")
        expected = (413,)
    else:
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n")
        expected = (431,)
    status = await read_answer(reader)
    assert status in expected, (kind, status)


async def malformed(rng, reader, writer):
    body = bytearray(json.dumps(chat(rng, tools=[], stop=["a"], logit_bias={"5": 1})).encode())
    kind = rng.randrange(5)
    if kind == 0:
        for _ in range(rng.randrange(1, 10)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        writer.write(post(bytes(body)))
        status = await read_answer(reader)
        assert status == 200 or 400 <= status < 500, (status, bytes(body))
        return
    if kind == 1:
        writer.write(post(b"[" * rng.choice([10, 1000, 100_000])))
    elif kind == 2:
        writer.write(post(chat(rng, max_tokens=rng.choice([-1, 1e300, 2**63, "x", None, [], {}, 0]),
                               top_p=-1)))
    elif kind == 3:
        writer.write(rng.randbytes(rng.randrange(20, 2000)) + b"\r\n\r\n")
    else:
        writer.write(b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n")
    status = await read_answer(reader)
    assert 400 <= status < 506, status


async def idle(rng, reader, writer):
    await asyncio.sleep(rng.random() * 2)


async def others(rng, reader, writer):
    for path, body in (("/v1/embeddings", {"input": ["a", "b c d"]}), ("/tokenize", {"prompt": "a b"}),
                       ("/detokenize", {"tokens": [5, 6]}),
                       ("/v1/completions", {"prompt": ["a", "b"], "logprobs": 3})):
        writer.write(post(body, path))
        assert await read_answer(reader) in (200, 503)


KINDS = [whole, whole, broken_off, broken_off, broken_before, slow_reader, huge, malformed, malformed,
         idle, others]


async def client(server, rng, end):
    while time.time() < end:
        kind = rng.choice(KINDS)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 22)
        try:
            await asyncio.wait_for(kind(rng, reader, writer), 3600)  # a busy machine is no error
            counts[kind.__name__] = counts.get(kind.__name__, 0) + 1
        finally:
            if rng.random() < 0.3:
                writer.transport.abort()
            else:
                writer.close()


async def watch(server, end, seen):
    loop = asyncio.get_running_loop()
    while time.time() < end:
        await asyncio.sleep(2)
        seen.append((time.time(), await loop.run_in_executor(None, server.metrics)))


async def soak(server, arguments):
    end = time.time() + arguments.minutes * 60
    seen = []
    clients = [client(server, random.Random(i), end) for i in range(arguments.clients)]
    await asyncio.gather(watch(server, end, seen), *clients)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tigerbot")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--serve", action="append", default=[], help="an option of tigerbot serve")
    arguments = parser.parse_args()
    options = [word for option in arguments.serve for word in option.split()]
    if "--cache-tokens" not in options:
        # Small enough to be in use whole from the first minute on: memory is flat after that.
        options += ["--cache-tokens", "12288"]
    probe = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16, "temperature": 0}
    problems = []
    with Server(arguments.tigerbot, [arguments.model], options) as server:
        def answer():
            return server.post("/v1/chat/completions", probe)["choices"][0]["message"]["content"]

        first = answer()
        before = server.metrics()
        begin = time.time()
        seen = asyncio.run(soak(server, arguments))
        for _ in range(600):  # what was broken off ends within a step
            after = server.metrics()
            if after["tigerbot_answers_running"] + after["tigerbot_answers_waiting"] == 0 and \
                    after["tigerbot_connections"] <= 1:
                break
            time.sleep(0.1)
        if after["tigerbot_cache_blocks_free"] != after["tigerbot_cache_blocks"]:
            problems.append("blocks are lost")
        if after["process_open_fds"] > before["process_open_fds"] + 1:
            problems.append("descriptors are lost")
        if after["tigerbot_buffered_request_bytes"] != 0:
            problems.append("bytes of requests are lost")
        if answer() != first:
            problems.append("an answer has changed")
        third = [m["process_resident_memory_bytes"] / 2**20 for t, m in seen
                 if t - begin > arguments.minutes * 20]
        unused = [m["tigerbot_cache_fragmentation_ratio"] for _, m in seen
                  if m["tigerbot_cache_tokens_held"] > 0]
        growth = max(third[-5:], default=0) - max(third[:5], default=0)
        if growth > 64:
            problems.append(f"memory grew by {growth:.0f} MiB")
        status = server.stop(120)
        if status != 0:
            problems.append(f"the server ended with status {status}: {''.join(server.lines[-30:])}")
    print(json.dumps({"minutes": arguments.minutes, "clients": arguments.clients, "exchanges": counts,
                      "resident_mib": {"start": round(before["process_resident_memory_bytes"] / 2**20),
                                       "third": round(third[0]) if third else None,
                                       "end": round(after["process_resident_memory_bytes"] / 2**20)},
                      "tokens": int(after["tigerbot_generated_tokens_total"]),
                      "clients_gone": int(after["tigerbot_clients_gone_total"]),
                      "room_held_but_unused": round(sum(unused) / len(unused), 3) if unused else None,
                      "preemptions": int(after["tigerbot_preemptions_total"]),
                      "problems": problems}))
    sys.exit(1 if problems else 0)


main()
