"""Turns a Llama model's residual stream by a random orthogonal matrix and folds its norms into the
layers after them: the same function to rounding, with other weights.

    tigerbot convert smollm2-135m-instruct smollm2-float32 --dtype float32
    python bench/rotate_residual.py smollm2-float32 smollm2-rotated [--dtype bfloat16] [--seed 0]

Weights that came from a quantized file lie on its grid, so that quantizing them again says nothing.
What this writes never lay on one. With x' = x Q in place of the residual stream x, RMSNorm commutes
with Q once its weight g is in the matrices after it: those become W diag(g) Q, those that write to
the stream Q^T W, the embedding E Q, the output layer E diag(g) Q (so it is no longer tied).
Needs torch and safetensors.
"""

import argparse
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file

AFTER_ATTENTION_NORM = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
AFTER_MLP_NORM = ("mlp.gate_proj", "mlp.up_proj")
INTO_STREAM = ("self_attn.o_proj", "mlp.down_proj")


def random_orthogonal(size, seed):
    """Uniform over all orthogonal matrices."""
    generator = torch.Generator().manual_seed(seed)
    q, r = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator))
    return q * r.diagonal().sign()


def rotate(tensors, config, seed):
    width = config["hidden_size"]
    q = random_orthogonal(width, seed)
    rotated = {}
    wide = lambda name: tensors[name].double()
    embedding = wide("model.embed_tokens.weight")
    output = embedding if config.get("tie_word_embeddings") else wide("lm_head.weight")
    rotated["model.embed_tokens.weight"] = embedding @ q
    rotated["lm_head.weight"] = (output * wide("model.norm.weight")) @ q
    rotated["model.norm.weight"] = torch.ones(width)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for names, norm in ((AFTER_ATTENTION_NORM, "input_layernorm"),
                            (AFTER_MLP_NORM, "post_attention_layernorm")):
            gain = wide(f"{prefix}{norm}.weight")
            rotated[f"{prefix}{norm}.weight"] = torch.ones(width)
            for name in names:
                rotated[f"{prefix}{name}.weight"] = (wide(f"{prefix}{name}.weight") * gain) @ q
        for name in INTO_STREAM:
            rotated[f"{prefix}{name}.weight"] = q.T @ wide(f"{prefix}{name}.weight")
    left = set(tensors) - set(rotated)
    if left:
        sys.exit(f"{sorted(left)[0]}: this tensor has no place in a Llama without biases")
    return rotated


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=pathlib.Path, help="a Hugging Face directory in float32")
    parser.add_argument("destination", type=pathlib.Path)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    config = json.loads((options.source / "config.json").read_text())
    if config.get("model_type") != "llama":
        sys.exit(f"{options.source}: model_type is {config.get('model_type')}; llama is needed")
    tensors = {}
    for file in sorted(options.source.glob("*.safetensors")):
        tensors |= load_file(file)
    rotated = rotate(tensors, config, options.seed)
    dtype = getattr(torch, options.dtype)
    options.destination.mkdir(parents=True)
    save_file({name: tensor.to(dtype).contiguous() for name, tensor in rotated.items()},
              options.destination / "model.safetensors", metadata={"format": "pt"})
    config |= {"tie_word_embeddings": False, "dtype": options.dtype, "torch_dtype": options.dtype}
    (options.destination / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for file in options.source.glob("*.json"):
        if file.name != "config.json" and not file.name.endswith(".index.json"):
            shutil.copy(file, options.destination)


if __name__ == "__main__":
    main()
