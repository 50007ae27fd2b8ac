#!/usr/bin/env python3
"""Training steps beside transformers, programs in turn.

    python bench/training.py --shape smollm2 --sequences 2 --length 1024 --rounds 3
    python bench/training.py --length 4096 --sequences 1 --programs compile --results runs.jsonl   # one piece ...
    python bench/training.py --table runs.jsonl                                                    # ... and all of them

Ours is build/bench/bench_training (ninja -C build bench_training); the peers are transformers' Llama
in eager PyTorch and under torch.compile: bfloat16, fused AdamW, SDPA, with tcmalloc preloaded
(Debian: libtcmalloc-minimal4, or libgoogle-perftools-dev). Same shapes, same number of tokens, random
weights and ids. A step is forward, loss, backward, gradient clipping and update; the first ones
(--warmup) do not count. Prints median and spread over the rounds of each program's median step, and
the highest resident memory.

A long comparison can be made in pieces: --programs names what runs, --results appends a line for
each run to a file, and --table prints the tables of all lines of such a file.

Needs torch and transformers (pip install torch transformers), and g++ for torch.compile.
"""

import argparse
import glob
import json
import os
import statistics
import subprocess
import sys

SHAPES = {
    "smollm2": dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                    num_attention_heads=9, num_key_value_heads=3, rope_theta=100000.0),
    "10m": dict(vocab_size=16384, hidden_size=256, intermediate_size=704, num_hidden_layers=8,
                num_attention_heads=4, num_key_value_heads=2),
}


def peer(arguments):
    """Runs the peer's steps in this process and prints one JSON object."""
    import resource
    import time

    # Scripts beside this one must not stand for packages of the same name.
    sys.path = [p for p in sys.path if os.path.abspath(p) != os.path.dirname(os.path.abspath(__file__))]

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    config = LlamaConfig(**SHAPES[arguments.shape], tie_word_embeddings=True,
                         max_position_embeddings=8192, attn_implementation="sdpa")
    model = LlamaForCausalLM(config).bfloat16().train()
    step_model = torch.compile(model) if arguments.peer == "compile" else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), eps=1e-5,
                                  weight_decay=0.1, fused=True)
    times, processor_times = [], []
    for step in range(arguments.steps + arguments.warmup):
        ids = torch.randint(0, config.vocab_size, (arguments.sequences, arguments.length))
        start, processor_start = time.perf_counter(), time.process_time()
        step_model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step >= arguments.warmup:
            times.append(time.perf_counter() - start)
            processor_times.append(time.process_time() - processor_start)
    tokens = arguments.sequences * arguments.length
    print(json.dumps({
        "tokens_per_second": tokens / statistics.median(times),
        "processor_seconds": statistics.median(processor_times),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def run(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def tcmalloc():
    for pattern in ("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so*",
                    "/usr/lib/x86_64-linux-gnu/libtcmalloc.so*"):
        found = sorted(glob.glob(pattern))
        if found:
            return found[0]
    return None


def print_tables(lines):
    """One table for each shape that the lines measured."""
    for shape in dict.fromkeys((r["shape"], r["sequences"], r["length"]) for r in lines):
        print(f"{shape[0]}, {shape[1]} x {shape[2]} tokens")
        print(f"{'':12}{'rounds':>7}{'tokens/s':>10}{'least':>9}{'most':>9}{'CPU s/step':>12}"
              f"{'memory':>12}")
        here = [r for r in lines if (r["shape"], r["sequences"], r["length"]) == shape]
        speed_of = {}
        for name in dict.fromkeys(r["program"] for r in here):
            rounds = [r for r in here if r["program"] == name]
            speeds = [r["tokens_per_second"] for r in rounds]
            speed_of[name] = statistics.median(speeds)
            memory = max(r["peak_memory_bytes"] for r in rounds)
            print(f"{name:12}{len(rounds):7}{speed_of[name]:10.0f}{min(speeds):9.0f}"
                  f"{max(speeds):9.0f}"
                  f"{statistics.median(r['processor_seconds'] for r in rounds):12.2f}"
                  f"{memory / 2**30:8.2f} GiB")
        ours = [r for r in here if r["program"] == "tigerbot"]
        peers = [speed for name, speed in speed_of.items() if name != "tigerbot"]
        if ours:
            print(f"dense products {statistics.median(r['dense_peak'] for r in ours) / 1e9:.0f} "
                  f"GFLOP/s, ours reaches {statistics.median(r['mfu'] for r in ours):.0%} of them"
                  + (f" and {speed_of['tigerbot'] / max(peers):.2f} times the best peer"
                     if peers else ""))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/bench/bench_training")
    parser.add_argument("--shape", default="smollm2", choices=SHAPES)
    parser.add_argument("--sequences", type=int, default=2)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=2, help="steps that do not count")
    parser.add_argument("--programs", default="tigerbot,eager,compile")
    parser.add_argument("--results", help="append a line for each run to this file")
    parser.add_argument("--table", metavar="FILE", help="run nothing; print what --results wrote")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.table:
        with open(arguments.table, encoding="utf-8") as file:
            print_tables([json.loads(line) for line in file])
        return
    if arguments.peer:
        peer(arguments)
        return
    sizes = ["--shape", arguments.shape, "--sequences", str(arguments.sequences), "--length",
             str(arguments.length), "--steps", str(arguments.steps), "--warmup",
             str(arguments.warmup), "--threads", str(arguments.threads)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads))
    preloaded = dict(environment)
    if library := tcmalloc():
        preloaded["LD_PRELOAD"] = library
    else:
        print("tcmalloc is not installed: the peers run without it", file=sys.stderr)
    lines = []
    for _ in range(arguments.rounds):
        for name in arguments.programs.split(","):
            if name == "tigerbot":
                result = run([arguments.program, *sizes, "--json"], environment)
            else:
                result = run([sys.executable, __file__, *sizes, "--peer", name], preloaded)
            lines.append({"program": name, "shape": arguments.shape,
                          "sequences": arguments.sequences, "length": arguments.length, **result})
            if arguments.results:
                with open(arguments.results, "a", encoding="utf-8") as file:
                    file.write(json.dumps(lines[-1]) + "\n")
    print_tables(lines)


if __name__ == "__main__":
    main()
