#!/usr/bin/env python3
"""`tigerbot serve` beside llama.cpp's llama-server: the same model, threads and client, in turn.

    python bench/serving.py --tigerbot build/tigerbot --llama-cpp FOLDER/build/bin
        [--model smollm2-135m-instruct] [--streams 1 4 16 32 64] [--rounds 3] [--engine build/bench/bench_engine]

Prompts are token ids, random but the same for both, 128 tokens long and answered with 128 tokens
(greedy, past the end mark). The prefix case puts the same 1,000 tokens before 28 of each prompt's
own. llama-server runs the same weights in BF16, which llama-quantize makes, with continuous batching
and as many slots as streams. --engine gives a program that runs the same requests through the engine
without a server, for the overhead. Prints Markdown tables; medians over the rounds.
"""

import argparse
import asyncio
import json
import pathlib
import random
import statistics
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/serve"))
from llama_cpp import find_gguf
from started_server import Server


class LlamaServer:
    def __init__(self, programs, model, threads, slots, context):
        self.port = 18400 + random.randrange(500)
        self.process = subprocess.Popen(
            [str(programs / "llama-server"), "-m", str(model), "-t", str(threads), "-tb", str(threads),
             "-np", str(slots), "-c", str(slots * context), "--port", str(self.port), "--no-webui"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1).read()
                return
            except OSError:
                time.sleep(0.1)
        sys.exit("llama-server did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def prompts(streams, prefix, length, seed, vocabulary):
    rng = random.Random(seed)
    low, high = min(1000, vocabulary // 10), vocabulary - vocabulary // 20
    shared = random.Random(prefix).choices(range(low, high), k=prefix)
    return [shared + rng.choices(range(low, high), k=length) for _ in range(streams)]


async def ask(port, prompt, new_tokens):
    """Times at which parts of the answer came, from the request on."""
    body = json.dumps({"prompt": prompt, "max_tokens": new_tokens, "temperature": 0, "stream": True,
                       "ignore_eos": True}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                 b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    begin = time.perf_counter()
    times = []
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head[:20]:
        sys.exit(f"the server refused: {head} {await reader.read()}")
    while True:
        line = await reader.readline()
        if not line:
            break
        if line.startswith(b"data: {"):
            times.append(time.perf_counter() - begin)
    writer.close()
    return times


async def measure(port, requests, new_tokens):
    begin = time.perf_counter()
    answers = await asyncio.gather(*[ask(port, prompt, new_tokens) for prompt in requests])
    seconds = time.perf_counter() - begin
    first = sorted(times[0] for times in answers)
    # Whole answers: text that waits for the rest of a character comes in fewer parts than tokens.
    between = sorted(b - a for times in answers for a, b in zip(times, times[1:]))
    return {"rate": len(requests) * new_tokens / seconds,
            "first": statistics.median(first), "first99": first[min(len(first) - 1, len(first) * 99 // 100)],
            "between": statistics.median(between), "between99": between[len(between) * 99 // 100]}


def row(name, results):
    def middle(key):
        return statistics.median(r[key] for r in results)

    rates = [r["rate"] for r in results]
    return (f"| {name} | {middle('rate'):.0f} ({min(rates):.0f} to {max(rates):.0f}) | "
            f"{middle('first') * 1e3:.0f} / {middle('first99') * 1e3:.0f} | "
            f"{middle('between') * 1e3:.1f} / {middle('between99') * 1e3:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tigerbot", default="build/tigerbot")
    parser.add_argument("--llama-cpp", type=pathlib.Path, required=True)
    parser.add_argument("--engine", help="build/bench/bench_engine")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--quantize", default="BF16", help="type for llama-server")
    parser.add_argument("--tigerbot-model", help="another file of the same model for us")
    parser.add_argument("--vocabulary", type=int, default=49152)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 16, 32, 64])
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--prefix", type=int, nargs="*", default=[1000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/tmp/tigerbot-bench"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    source = find_gguf(arguments.model)
    gguf = arguments.work / f"{source.stem}-{arguments.quantize}.gguf"
    if not gguf.exists():
        subprocess.run([arguments.llama_cpp / "llama-quantize", "--allow-requantize", source, gguf,
                        arguments.quantize], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    most = max(arguments.streams)
    longest = max([0, *arguments.prefix]) + arguments.prompt_tokens + arguments.new_tokens + 32
    ours = Server(arguments.tigerbot, [arguments.tigerbot_model or arguments.model],
                  ["--threads", str(arguments.threads), "--max-running", str(most)])
    theirs = LlamaServer(arguments.llama_cpp, gguf, arguments.threads, most, longest)
    print(f"TigerBot started in {ours.start_seconds:.2f} s", file=sys.stderr)

    cases = [(streams, 0) for streams in arguments.streams]
    cases += [(streams, prefix) for prefix in arguments.prefix for streams in arguments.streams]
    print("| | output tokens/s, median (least to most) | first token, ms, median / 99th percentile "
          "| between tokens, ms, median / 99th percentile |")
    print("|---|---|---|---|")
    for streams, prefix in cases:
        own = 28 if prefix else arguments.prompt_tokens
        results = {"TigerBot": [], "llama-server": []}
        engine = []
        for turn in range(arguments.rounds + 1):
            for name, server in (("TigerBot", ours), ("llama-server", theirs)):
                requests = prompts(streams, prefix, own, 1000 * streams + turn, arguments.vocabulary)
                result = asyncio.run(measure(server.port, requests, arguments.new_tokens))
                if turn > 0:  # the first turn warms up, and stores the prefix
                    results[name].append(result)
            if arguments.engine and prefix == 0 and turn > 0:
                output = subprocess.run(
                    [arguments.engine, arguments.tigerbot_model or arguments.model,
                     str(arguments.threads), str(streams), str(own), str(arguments.new_tokens)],
                    check=True, capture_output=True, text=True).stdout
                engine.append(json.loads(output)["tokens_per_second"])
        title = f"{streams} streams" + (f", shared prefix of {prefix:,}" if prefix else "")
        for name, values in results.items():
            print(row(f"{title}: {name}", values), flush=True)
        ratio = statistics.median(r["rate"] for r in results["TigerBot"]) / statistics.median(
            r["rate"] for r in results["llama-server"])
        print(f"| ratio | {ratio:.2f} | | |")
        if engine:
            bare = statistics.median(engine)
            served = statistics.median(r["rate"] for r in results["TigerBot"])
            print(f"| the engine without a server | {bare:.0f} (the server costs {1 - served / bare:.1%}) | | |")
    ours.stop()
    theirs.stop()


main()
