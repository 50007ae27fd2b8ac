"""Perplexity of SmolLM2-135M-Instruct on this project's LICENSE, by transformers' recipe for
fixed-length models in float32: the figures that tests/eval/perplexity_test.cpp expects.

    python tests/golden/perplexity.py FOLDER_OF_THE_GGUF FILE.gguf > tests/golden/perplexity.json
"""

import json
import pathlib
import sys

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = pathlib.Path(__file__).parents[2]
WINDOWS = [(256, 128), (512, 512)]


@torch.no_grad()
def measure(model, ids, context, stride):
    nll, tokens, correct, previous_end = 0.0, 0, 0, 0
    for begin in range(0, ids.size(1), stride):
        end = min(begin + context, ids.size(1))
        logits = model(ids[:, begin:end]).logits[0, :-1]
        labels = ids[0, begin + 1 : end]
        counts = torch.arange(begin + 1, end) >= previous_end
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        nll += losses[counts].double().sum().item()
        tokens += int(counts.sum())
        correct += int((logits.argmax(-1) == labels)[counts].sum())
        previous_end = end
        if end == ids.size(1):
            break
    return {"context": context, "stride": stride, "tokens": tokens, "nll": nll, "correct": correct}


def main():
    folder, gguf = sys.argv[1:3]
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=gguf)
    # transformers reads the pieces of a GGUF file but not its pre-tokenizer ("smollm").
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=gguf, dtype=torch.float32)
    ids = tokenizer((ROOT / "LICENSE").read_text(), return_tensors="pt").input_ids
    print(json.dumps([measure(model, ids, *window) for window in WINDOWS], indent=1))


if __name__ == "__main__":
    main()
