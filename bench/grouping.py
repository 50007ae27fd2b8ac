#!/usr/bin/env python3
"""Fine-tuning on grouped examples beside one-by-one ones that are padded: examples a second, and the
validation loss that the same examples lead to.

    python bench/grouping.py ROWS.json --model smollm2-135m-instruct --train 512 --validation 128

ROWS is any file that `tigerbot train` fine-tunes on; its first rows are held out for validation, the
next are trained on. All runs make as many updates of about as many examples:

  grouped      the whole epoch, first-fit decreasing into --length tokens
  one by one   the whole epoch, each example alone at its own length: the same gradients as padded
  padded       the first updates of it, to time them (--padded-steps): most of it is padding

Prints a table; --json prints what it is made of.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = """
output = "{name}"
[model]
path = "{model}"
[data]
objective = "sft"
template = "{template}"
sequence_length = {length}
epochs = 1
batching = "{batching}"
[[data.source]]
path = "train.jsonl"
[train]
steps = {steps}
global_batch_tokens = {batch}
learning_rate = {rate}
seed = 1
[checkpoint]
every_steps = 100000
background = false
[validation]
every_steps = 100000
[[validation.set]]
kind = "sft"
path = "validation.jsonl"
"""


def rows_of(path):
    text = (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8").read()
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def run(folder, arguments, name, batching, batch, steps):
    (folder / f"{name}.toml").write_text(RECIPE.format(
        name=name, model=arguments.model, template=arguments.template, length=arguments.length,
        batching=batching, steps=steps, batch=batch, rate=arguments.rate))
    start = time.perf_counter()
    done = subprocess.run([arguments.tigerbot, "train", folder / f"{name}.toml", "--threads",
                           str(arguments.threads)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr.strip().splitlines()[-1])
    lines = [json.loads(line) for line in
             (folder / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    steps_made = [line for line in lines if line["kind"] == "train"]
    losses = [line["mean_loss"] for line in lines if line["kind"] == "validation"]
    seconds, before = 0.0, 0
    for line in steps_made:
        seconds += (line["tokens"] - before) / line["tokens_per_second"]
        before = line["tokens"]
    return {"name": name, "updates": len(steps_made), "seconds": seconds,
            "examples": sum(line["examples"] for line in steps_made), "tokens": before,
            "first_validation_loss": losses[0], "validation_loss": losses[-1],
            "whole_run_seconds": time.perf_counter() - start}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path)
    parser.add_argument("--tigerbot", default="build/tigerbot")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--template", default="model")
    parser.add_argument("--train", type=int, default=512)
    parser.add_argument("--validation", type=int, default=128)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--groups-a-step", type=int, default=2)
    parser.add_argument("--rate", type=float, default=2e-5)
    parser.add_argument("--padded-steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = rows_of(arguments.rows)
    if len(rows) < arguments.train + arguments.validation:
        sys.exit(f"{arguments.rows}: {len(rows)} rows; --train and --validation ask for more")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        parts = {"validation": rows[:arguments.validation],
                 "train": rows[arguments.validation:arguments.validation + arguments.train]}
        for name, part in parts.items():
            (folder / f"{name}.jsonl").write_text(
                "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part),
                encoding="utf-8")
        results = [run(folder, arguments, "grouped", "grouped",
                       arguments.groups_a_step * arguments.length, 0)]
        # As many updates as the grouped run made.
        per_step = -(-arguments.train // results[0]["updates"])
        results.append(run(folder, arguments, "one-by-one", "one_by_one",
                           per_step * arguments.length, 0))
        results.append(run(folder, arguments, "padded", "padded", per_step * arguments.length,
                           arguments.padded_steps))
    if arguments.json:
        print(json.dumps(results, indent=1))
        return
    padded = results[-1]["examples"] / results[-1]["seconds"]
    print("| | updates | examples | tokens | examples/s | times padded | validation loss |")
    print("|---|---|---|---|---|---|---|")
    for r in results:
        speed = r["examples"] / r["seconds"]
        loss = (f"{r['first_validation_loss']:.4f} to {r['validation_loss']:.4f}"
                if r["name"] != "padded" else "as one by one")
        print(f"| {r['name']} | {r['updates']} | {r['examples']} | {r['tokens']:,} | {speed:.2f} "
              f"| {speed / padded:.2f} | {loss} |")


if __name__ == "__main__":
    main()
