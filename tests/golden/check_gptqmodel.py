"""Loads a model that `tigerbot quantize` wrote with gptqmodel, on the processor, and prints its perplexity
on a text by gptqmodel's own layers: beside `tigerbot eval --dtype float32` the two must agree.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install torch gptqmodel
    /tmp/venv/bin/python tests/golden/check_gptqmodel.py MODEL TEXT --context 512 --windows 4
    tigerbot eval MODEL --perplexity TEXT --context 512 --dtype float32     # of the same tokens

gptqmodel 7.7 loads the first version of the format ("gptq") where it is symmetric alone; quantize with
--checkpoint-format gptq_v2 else, and with --output-bits 16 for the same output layer.
"""

import argparse
import json
import math
import os
import pathlib

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch  # noqa: E402
from gptqmodel import BACKEND, GPTQModel  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402


def load(arguments):
    wrapper = GPTQModel.load(arguments.model, device="cpu", backend=BACKEND.TORCH,
                             dtype=torch.float16)
    model = getattr(wrapper, "model", wrapper).float().eval()
    kinds = {type(module).__name__ for module in model.modules() if "Quant" in type(module).__name__
             or "Torch" in type(module).__name__}
    ids = AutoTokenizer.from_pretrained(arguments.model)(
        pathlib.Path(arguments.text).read_text())["input_ids"]
    ids = ids[: arguments.context * arguments.windows]
    nll, count = 0.0, 0
    with torch.no_grad():
        for begin in range(0, len(ids), arguments.context):
            window = torch.tensor(ids[begin : begin + arguments.context])
            if len(window) < 2:
                continue
            scores = model(window[None]).logits[0, :-1].double().log_softmax(-1)
            nll -= scores.gather(1, window[1:, None]).sum().item()
            count += len(window) - 1
    print(json.dumps({"layers": sorted(kinds), "tokens": count, "perplexity": math.exp(nll / count)}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--windows", type=int, default=4)
    load(parser.parse_args())


if __name__ == "__main__":
    main()
