"""LoRA on a quantized base beside LoRA on the same model in bfloat16: loss, speed and memory.

    python bench/quantized_base.py MODEL ROWS --tigerbot build/tigerbot [--steps 40] [--work DIR]

MODEL is a model in bfloat16 (a Hugging Face directory), ROWS a file of instruction rows, as
recipes/fetch_instructions.py writes them; one in twenty is held out. MODEL is quantized to 4 bits
(GPTQ, groups of 32, calibrated with the same rows) and to W8A16, and `tigerbot train` runs the same
adapters, rows and order on each: rank 16 on all linear layers. Memory is read from the system while
it trains: what the process holds of its own (RssAnon) and of mapped files (RssFile); those of a
quantized base are needed at the start alone, those of a dense one are its weights.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

RECIPE = """# Written by bench/quantized_base.py
output = "{output}"
[model]
path = "{model}"
[lora]
rank = 16
target_modules = ["all-linear"]
[data]
objective = "sft"
sequence_length = {length}
[[data.source]]
path = "train.jsonl"
[train]
steps = {steps}
global_batch_tokens = {batch}
micro_batch_sequences = {sequences}
learning_rate = 5e-4
seed = 1
[checkpoint]
every_steps = 100000
keep_last = 1
[validation]
every_steps = 100000
[[validation.set]]
kind = "sft"
path = "held-out.jsonl"
max_rows = 200
"""
BASES = {"bfloat16": None, "GPTQ, 4 bits, groups of 32": [], "W8A16": ["--method", "w8a16"]}


def memory_of(pid):
    """RssAnon and RssFile in MiB."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return tuple(int(fields.get(key, "0 kB").split()[0]) / 1024 for key in ("RssAnon", "RssFile"))


def train(options, name, model):
    output = options.work / ("run-" + "".join(c if c.isalnum() else "-" for c in name))
    recipe = output.with_suffix(".toml")
    recipe.write_text(RECIPE.format(output=output.name, model=model, length=options.length,
                                    steps=options.steps, batch=options.batch,
                                    sequences=options.sequences))
    peaks = [0, 0]
    if not (output / "adapter").exists():
        with (options.work / "log.txt").open("ab") as log:
            process = subprocess.Popen([options.tigerbot, "train", recipe, "--threads",
                                        str(options.threads)], stdout=log, stderr=log)
            while process.poll() is None:
                peaks = [max(pair) for pair in zip(peaks, memory_of(process.pid))]
                time.sleep(0.1)
        if process.returncode != 0:
            raise SystemExit(f"{recipe}: exit status {process.returncode}; see {log.name}")
        (output / "peaks.json").write_text(json.dumps(peaks))
    lines = [json.loads(line) for line in (output / "metrics.jsonl").open(encoding="utf-8")]
    steps = [line for line in lines if line["kind"] == "train"]
    held_out = [line["mean_loss"] for line in lines if line["kind"] == "validation"]
    return {"losses": [step["loss"] for step in steps], "held_out": held_out,
            "speed": statistics.median(step["tokens_per_second"] for step in steps[1:]),
            "peaks": json.loads((output / "peaks.json").read_text())}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("rows", type=pathlib.Path)
    parser.add_argument("--tigerbot", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--sequences", type=int, default=2)
    parser.add_argument("--batch", type=int, default=2048, help="tokens of a step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("quantized-base"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = options.rows.read_text(encoding="utf-8").splitlines(keepends=True)
    (options.work / "train.jsonl").write_text(
        "".join(row for i, row in enumerate(rows) if i % 20), encoding="utf-8")
    (options.work / "held-out.jsonl").write_text("".join(rows[::20]), encoding="utf-8")
    results = {}
    for name, words in BASES.items():
        model = options.model.resolve()
        if words is not None:
            model = (options.work / ("base-" + name.split(",")[0])).resolve()
            if not model.exists():
                calibration = [] if words else ["--calibration", options.work / "train.jsonl"]
                subprocess.run([options.tigerbot, "quantize", options.model, model, *words,
                                *calibration], check=True, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        results[name] = train(options, name, model)
    print("| base | tokens/s | own memory, MiB | of mapped files, MiB | held-out loss before | after |")
    print("|---|---|---|---|---|---|")
    for name, result in results.items():
        print(f"| {name} | {result['speed']:,.0f} | {result['peaks'][0]:,.0f} | "
              f"{result['peaks'][1]:,.0f} | {result['held_out'][0]:.4f} | "
              f"{result['held_out'][-1]:.4f} |")
    print("\n| steps | " + " | ".join(results) + " |\n|---" + "|---" * len(results) + "|")
    width = max(1, options.steps // 8)
    for first in range(0, options.steps, width):
        last = min(first + width, options.steps)
        means = [statistics.mean(result["losses"][first:last]) for result in results.values()]
        print(f"| {first + 1} to {last} | " + " | ".join(f"{mean:.4f}" for mean in means) + " |")


if __name__ == "__main__":
    main()
