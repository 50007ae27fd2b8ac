#!/usr/bin/env python3
"""Checks that `tigerbot eval --next-token` counts what transformers counts.

    python tests/golden/check_next_token.py TIGERBOT MODEL ROWS.jsonl [--max-rows 300]

MODEL is a Hugging Face directory, ROWS what `tigerbot eval convert` wrote; the first --max-rows of
them are measured by both, in float32, one by one here. Tokens, right tokens (within one, where two
pieces are equally likely to rounding) and the mean loss must agree. Needs torch and transformers;
not a part of test.sh.
"""

import argparse
import json
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tigerbot")
    parser.add_argument("model")
    parser.add_argument("rows")
    parser.add_argument("--max-rows", type=int, default=300)
    parser.add_argument("--context", type=int, default=2048)
    arguments = parser.parse_args()
    lines = open(arguments.rows, encoding="utf-8").read().splitlines()[:arguments.max_rows]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        ours = json.loads(subprocess.run(
            [arguments.tigerbot, "eval", arguments.model, "--next-token", file.name, "--dtype",
             "float32", "--context", str(arguments.context), "--json"],
            check=True, capture_output=True, text=True).stdout)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    tokens = correct = 0
    nll = 0.0
    for line in lines:
        row = json.loads(line)
        prompt = tokenizer(row["prompt"]).input_ids
        ids = tokenizer(row["prompt"] + row["answer"]).input_ids
        first = next((i for i, (a, b) in enumerate(zip(prompt, ids)) if a != b),
                     min(len(prompt), len(ids)))
        extra = max(0, len(ids) - arguments.context)
        ids, first = ids[extra:], max(1, first - extra)
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, first - 1:-1]
        answer = torch.tensor(ids[first:])
        nll += torch.nn.functional.cross_entropy(logits, answer, reduction="sum").item()
        correct += int((logits.argmax(1) == answer).sum())
        tokens += len(answer)
    print(f"{len(lines)} rows; tokens {ours['tokens']} and {tokens}; accuracy {ours['accuracy']:.6f} "
          f"and {correct / tokens:.6f}; loss {ours['loss']:.6f} and {nll / tokens:.6f}")
    same = (ours["tokens"] == tokens and abs(ours["accuracy"] * tokens - correct) <= 1
            and abs(ours["loss"] - nll / tokens) < 1e-4)
    sys.exit(0 if same else "they differ")


if __name__ == "__main__":
    main()
