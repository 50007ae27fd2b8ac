"""Quantized models: prefill and decode beside llama.cpp with the same GGUF files, and our own formats.

    python bench/quantized.py --tigerbot build/tigerbot [--model smollm2-135m-instruct]
        [--llama-cpp FOLDER/build/bin] [--formats Q4_0,Q4_1,Q4_K_M,Q8_0] [--threads 2] [--rounds 3]

llama-quantize makes the GGUF files of a BF16 file of the model; `tigerbot quantize` makes 4 bits (round to
nearest, groups of 32; GPTQ's files run alike) and W8A16. Programs take turns; the median over the rounds
counts, and the least and the most are given beside it. Prints Markdown tables.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess

import llama_cpp

OURS = {"4 bits, groups of 32": ["--method", "round-to-nearest"], "W8A16": ["--method", "w8a16"]}


def gguf_of(programs, bf16, name, work):
    target = work / f"{bf16.stem}.{name}.gguf"
    if not target.exists():
        llama_cpp.run([programs / "llama-quantize", "--allow-requantize", bf16, target, name],
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return target


def quantized(options, name):
    target = options.work / f"{pathlib.Path(options.model).name}-{name.split()[0]}"
    if not target.exists():
        llama_cpp.run([options.tigerbot, "quantize", options.model, target, *OURS[name]],
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return target


def tigerbot_bench(options, model):
    """{"prefill": tokens/s, batch size: tokens/s}"""
    report = json.loads(llama_cpp.run(
        [options.tigerbot, "bench", model, "--prompt-tokens", options.prompt_tokens, "--new-tokens",
         options.new_tokens, "--batch-sizes", ",".join(map(str, options.batch_sizes)), "--threads",
         options.threads, "--repetitions", 1, "--dtype", "bfloat16", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    speeds = {row["batch_size"]: row["tokens_per_second"] for row in report["decode"]}
    return {"prefill": report["prefill_tokens_per_second"], **speeds}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tigerbot", default="build/tigerbot")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--llama-cpp", default=os.environ.get("LLAMA_CPP"))
    parser.add_argument("--formats", default="Q4_0,Q4_1,Q4_K_M,Q8_0")
    parser.add_argument("--batch-sizes", default="1,2,4,8,16,32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/bench_work"))
    options = parser.parse_args()
    options.prefix = []
    options.batch_sizes = [int(size) for size in options.batch_sizes.split(",")]
    options.work.mkdir(parents=True, exist_ok=True)
    programs = pathlib.Path(options.llama_cpp) if options.llama_cpp else llama_cpp.build_llama_cpp(options.work)
    bf16 = llama_cpp.bf16_gguf(programs, llama_cpp.find_gguf(options.model), options.work)
    models = {name: quantized(options, name) for name in OURS}
    models |= {name: gguf_of(programs, bf16, name, options.work) for name in options.formats.split(",")}
    ours = {name: [] for name in models}
    theirs = {name: [] for name in models if name not in OURS}
    for _ in range(options.rounds):
        for name, model in models.items():
            ours[name].append(tigerbot_bench(options, model))
            if name in theirs:
                theirs[name].append(llama_cpp.llama_bench(programs, model, options))

    print(f"| {options.threads} threads, median of {options.rounds} (least to most), tokens/s | prefill, "
          f"{options.prompt_tokens} tokens | llama.cpp | ratio | decode, {options.new_tokens} tokens | "
          "llama.cpp | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name, samples in ours.items():
        cells = []
        for side, key in enumerate(("prefill", 1)):
            mine = [sample[key] for sample in samples]
            cells.append(llama_cpp.cell(mine))
            if name in theirs:
                peer = [pair[side] for pair in theirs[name]]
                cells += [llama_cpp.cell(peer), f"{statistics.median(mine) / statistics.median(peer):.2f}"]
            else:
                cells += ["", ""]
        print(f"| {name} | {' | '.join(cells)} |")
    print()
    print("| decode, answers at once | " + " | ".join(map(str, options.batch_sizes)) + " |")
    print("|---" * (len(options.batch_sizes) + 1) + "|")
    for name, samples in ours.items():
        medians = [statistics.median(sample[size] for sample in samples) for size in options.batch_sizes]
        print(f"| {name} | {' | '.join(f'{speed:,.0f}' for speed in medians)} |")


if __name__ == "__main__":
    main()
