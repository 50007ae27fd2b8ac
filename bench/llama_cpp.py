"""Prefill and decode of one model beside llama.cpp (and transformers): tokens/s and ratios.

    python bench/llama_cpp.py --tigerbot build/tigerbot [--model smollm2-135m-instruct]
        [--llama-cpp FOLDER/build/bin] [--transformers HUGGING_FACE_DIR] [--threads 2] [--rounds 5]

llama.cpp runs the same weights in BF16, which its own llama-quantize makes of the model's GGUF file
where that holds another type. Without --llama-cpp it is built natively from the PyPI sdist
`llama-cpp-python` (some minutes, once, in --work). Programs take turns, so that whatever else the
machine does meets them alike; the median over the rounds counts, and the least and the most are
given beside it. Prints a Markdown table. --command-prefix puts words in front of each measured
command, for example "taskset -c 0,1".
"""

import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tarfile

VERSION = "0.3.36"
TARGETS = ("llama-bench", "llama-quantize")


def run(command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


def build_llama_cpp(work):
    """llama.cpp's programs, built for this processor from the sdist."""
    folder = work / f"llama_cpp_python-{VERSION}"
    programs = folder / "vendor/llama.cpp/build/bin"
    if all((programs / target).exists() for target in TARGETS):
        return programs
    run([sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "-d", work,
         f"llama-cpp-python=={VERSION}"])
    with tarfile.open(next(work.glob(f"llama_cpp_python-{VERSION}*.tar.gz"))) as archive:
        archive.extractall(work)
    source = folder / "vendor/llama.cpp"
    run(["cmake", "-S", source, "-B", source / "build", "-DCMAKE_BUILD_TYPE=Release",
         "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_UI=OFF"])
    run(["cmake", "--build", source / "build", "-j", os.cpu_count(), "--target", *TARGETS])
    return programs


def find_gguf(model):
    """The GGUF file of a path or of a name in the cache."""
    path = pathlib.Path(model)
    if path.is_file():
        return path
    cache = os.environ.get("TIGERBOT_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tigerbot")
    for folder in (path, pathlib.Path(cache) / "models" / model):
        found = sorted(folder.rglob("*.gguf")) if folder.is_dir() else []
        if found:
            return found[0]
    sys.exit(f"{model}: no GGUF file here; give its path, or run `tigerbot pull {model}` first")


def bf16_gguf(programs, gguf, work):
    target = work / (gguf.stem + ".bf16.gguf")
    if not target.exists():
        run([programs / "llama-quantize", "--allow-requantize", gguf, target, "BF16"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return target


def llama_bench(programs, gguf, options):
    command = [*options.prefix, programs / "llama-bench", "-m", gguf, "-t", options.threads, "-p",
               options.prompt_tokens, "-n", options.new_tokens, "-r", 1, "-o", "json"]
    rows = json.loads(run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    prefill = next(row["avg_ts"] for row in rows if row["n_prompt"] > 0)
    decode = next(row["avg_ts"] for row in rows if row["n_gen"] > 0)
    return prefill, decode


def tigerbot_bench(options):
    command = [*options.prefix, options.tigerbot, "bench", options.model, "--prompt-tokens",
               options.prompt_tokens, "--new-tokens", options.new_tokens, "--batch-sizes", 1,
               "--threads", options.threads, "--repetitions", 1, "--dtype", "bfloat16", "--json"]
    report = json.loads(run(command, stdout=subprocess.PIPE).stdout)
    return report["prefill_tokens_per_second"], report["decode_tokens_per_second"]


TRANSFORMERS = """
import sys, time, torch
from transformers import AutoModelForCausalLM
path, threads, prompt, new = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).eval()
ids = torch.randint(0, model.config.vocab_size, (1, prompt))
with torch.inference_mode():
    model(ids, logits_to_keep=1)
    start = time.perf_counter()
    model(ids, logits_to_keep=1)
    prefill = prompt / (time.perf_counter() - start)
    step = model(ids[:, :1])
    start = time.perf_counter()
    for _ in range(new):
        step = model(step.logits[:, -1:].argmax(-1), past_key_values=step.past_key_values)
    decode = new / (time.perf_counter() - start)
print(prefill, decode)
"""


def transformers_bench(options):
    command = [*options.prefix, sys.executable, "-c", TRANSFORMERS, options.transformers,
               options.threads, options.prompt_tokens, options.new_tokens]
    output = run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return tuple(float(word) for word in output.split()[-2:])


def cell(samples):
    return f"{statistics.median(samples):,.0f} ({min(samples):,.0f} to {max(samples):,.0f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tigerbot", default="build/tigerbot")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--llama-cpp", default=os.environ.get("LLAMA_CPP"))
    parser.add_argument("--transformers", metavar="DIR", help="the same model as a directory")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/bench_work"))
    parser.add_argument("--command-prefix", default="")
    options = parser.parse_args()
    options.prefix = shlex.split(options.command_prefix)
    options.work.mkdir(parents=True, exist_ok=True)
    programs = pathlib.Path(options.llama_cpp) if options.llama_cpp else build_llama_cpp(options.work)
    gguf = bf16_gguf(programs, find_gguf(options.model), options.work)

    runners = {"TigerBot": lambda: tigerbot_bench(options),
               "llama.cpp": lambda: llama_bench(programs, gguf, options)}
    if options.transformers:
        runners["transformers"] = lambda: transformers_bench(options)
    samples = {name: [] for name in runners}
    for _ in range(options.rounds):
        for name, runner in runners.items():
            samples[name].append(runner())

    print(f"| {options.threads} threads, bf16, median of {options.rounds} (least to most) | "
          f"prefill, {options.prompt_tokens} tokens, tokens/s | "
          f"decode, {options.new_tokens} tokens, tokens/s |")
    print("|---|---|---|")
    for name, pairs in samples.items():
        print(f"| {name} | {cell([p for p, _ in pairs])} | {cell([d for _, d in pairs])} |")
    ours = samples["TigerBot"]
    for name in list(samples)[1:]:
        ratios = [statistics.median(pair[side] for pair in ours) /
                  statistics.median(pair[side] for pair in samples[name]) for side in (0, 1)]
        print(f"| ratio to {name} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
