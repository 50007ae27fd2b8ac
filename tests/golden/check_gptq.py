"""Loads a model that `tigerbot quantize` wrote with AutoGPTQ's own QuantLinear inside transformers, and
prints its perplexity on a text: beside `tigerbot eval --dtype float32` the two must agree.

    python3.11 -m venv /tmp/venv && /tmp/venv/bin/pip install torch transformers safetensors
    /tmp/venv/bin/pip download --no-deps auto-gptq -d /tmp/wheel && python3 -m zipfile -e /tmp/wheel/*.whl /tmp/auto_gptq
    /tmp/venv/bin/python tests/golden/check_gptq.py MODEL TEXT /tmp/auto_gptq --context 512 --windows 4
    tigerbot eval MODEL --perplexity TEXT --context 512 --dtype float32     # of the same text

Of AutoGPTQ only the layer's file is loaded (its package needs CUDA tools): the layout, the zeros and
the groups are its own reading, not ours.
"""

import argparse
import importlib.util
import json
import math
import pathlib

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer


def quant_linear(package):
    path = pathlib.Path(package) / "auto_gptq/nn_modules/qlinear/qlinear_cuda.py"
    spec = importlib.util.spec_from_file_location("qlinear_cuda", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.QuantLinear


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("auto_gptq", help="the unpacked wheel")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--windows", type=int, default=4)
    arguments = parser.parse_args()
    folder = pathlib.Path(arguments.model)
    settings = json.loads((folder / "quantize_config.json").read_text())
    config = AutoConfig.from_pretrained(folder)
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config).float()
    tensors = load_file(folder / "model.safetensors")
    layer_class = quant_linear(arguments.auto_gptq)
    layers = [name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")]
    for name in layers:
        parent = model.get_submodule(name.rpartition(".")[0])
        dense = getattr(parent, name.rpartition(".")[2])
        quantized = layer_class(
            settings["bits"], settings["group_size"], dense.in_features, dense.out_features,
            dense.bias is not None, weight_dtype=torch.float32)
        setattr(parent, name.rpartition(".")[2], quantized)
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            tensors[name] = tensor.float()
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected, unexpected
    assert set(missing) <= {"lm_head.weight"}, missing
    model.tie_weights()
    model.eval()

    ids = AutoTokenizer.from_pretrained(folder)(pathlib.Path(arguments.text).read_text())["input_ids"]
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
    print(json.dumps({"layers": len(layers), "tokens": count, "perplexity": math.exp(nll / count)}))


if __name__ == "__main__":
    main()
