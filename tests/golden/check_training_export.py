#!/usr/bin/env python3
"""Checks that every checkpoint of a training run exports to a directory that transformers (and PEFT)
loads with the same logits.

    python tests/golden/check_training_export.py TIGERBOT MODEL ROWS

MODEL is a Hugging Face directory or what `pull` knows, ROWS a file of instruction rows. Three short
float32 runs: all parameters, some of them, adapters. Each checkpoint is exported by `tigerbot convert`;
the mean loss of a text under `tigerbot eval --perplexity` must be the loss under transformers to
1e-5, and under PEFT's for the adapter that is not merged. Needs torch, transformers and peft; not a
part of test.sh.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

RECIPE = """
output = "{name}"
[model]
path = "{model}"
dtype = "float32"
{choice}
[data]
objective = "sft"
template = "{template}"
sequence_length = 256
[[data.source]]
path = "{rows}"
max_rows = 40
[train]
steps = 2
global_batch_tokens = 256
learning_rate = 1e-3
warmup_steps = 0
{rest}
[checkpoint]
every_steps = 1
keep_last = 9
"""
TEXT = "A compiler turns a program's text into machine code.\n你好，老虎！ Numbers: 12345, 3.14.\n" * 3
failures = []


def tigerbot(*words):
    done = subprocess.run([str(word) for word in (PROGRAM, *words)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{words[0]}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def our_loss(model, text_file):
    result = json.loads(tigerbot("eval", model, "--perplexity", text_file, "--dtype", "float32",
                                 "--json"))
    return result["nll"] / result["tokens"]


def their_loss(model, tokenizer):
    ids = torch.tensor([tokenizer(TEXT).input_ids])
    with torch.no_grad():
        logits = model.eval()(ids).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, ids[0, 1:]).item()


def check(name, ours, theirs):
    good = math.isfinite(ours) and abs(ours - theirs) < 1e-5 * max(1, abs(theirs))
    print(f"{'ok  ' if good else 'FAIL'} {name}: {ours:.7f} and {theirs:.7f}", flush=True)
    if not good:
        failures.append(name)


def main():
    model, rows = sys.argv[2], Path(sys.argv[3]).resolve()
    template = sys.argv[4] if len(sys.argv) > 4 else "model"
    load = lambda path: AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        text = folder / "text.txt"
        text.write_text(TEXT, encoding="utf-8")
        base = folder / "base"
        tigerbot("convert", model, base)
        tokenizer = AutoTokenizer.from_pretrained(base)
        check("the base model", our_loss(base, text), their_loss(load(base), tokenizer))
        runs = {
            "all": ("", ""),
            "some": ('trainable = ["model.embed_tokens.weight[100:]", "*.q_proj.weight"]', ""),
            "adapters": ("", '[lora]\nrank = 4\ntarget_modules = ["all-linear"]'),
        }
        for name, (choice, rest) in runs.items():
            recipe = folder / f"{name}.toml"
            recipe.write_text(RECIPE.format(name=name, model=base, rows=rows, choice=choice, rest=rest,
                                            template=template))
            tigerbot("train", recipe)
            for checkpoint in sorted((folder / name / "checkpoints").iterdir()):
                out = folder / f"{name}-{checkpoint.name}"
                if name != "adapters":
                    tigerbot("convert", checkpoint, out)
                    check(f"{name}, {checkpoint.name}", our_loss(out, text),
                          their_loss(load(out), tokenizer))
                    continue
                tigerbot("convert", checkpoint, out, "--merge")
                merged = our_loss(out, text)
                check(f"{name} merged, {checkpoint.name}", merged, their_loss(load(out), tokenizer))
                adapter = folder / f"adapter-{checkpoint.name}"
                tigerbot("convert", checkpoint, adapter)
                check(f"{name} under PEFT, {checkpoint.name}", merged,
                      their_loss(PeftModel.from_pretrained(load(base), adapter), tokenizer))
    sys.exit(f"{len(failures)} failed" if failures else 0)


if __name__ == "__main__":
    PROGRAM = Path(sys.argv[1]).resolve()
    main()
