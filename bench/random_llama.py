"""A Llama with random weights of a published shape: for speed, which does not depend on the values.

    tigerbot convert smollm2-135m-instruct smollm2-hf
    python bench/random_llama.py OUT --tokenizer smollm2-hf [--shape 1b]

OUT becomes a Hugging Face directory in bfloat16 with the tokenizer of another model; vocabulary ids
past that tokenizer's stay without pieces. "1b" has the shape of Llama-3.2-1B (1.24 billion weights).
Then, beside llama.cpp, whose programs need the model as GGUF too:

    tigerbot convert OUT OUT/model.gguf --dtype bfloat16
    python bench/quantized.py --model OUT --formats Q4_0,Q8_0 --llama-cpp FOLDER/build/bin

Needs torch and safetensors.
"""

import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file

SHAPES = {
    "1b": {"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192,
           "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
           "head_dim": 64},
    "tiny": {"vocab_size": 49152, "hidden_size": 256, "intermediate_size": 512,
             "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
             "head_dim": 64},
}


def tensors_of(shape):
    """Name and size of every tensor; the output layer is the embedding."""
    hidden, wide = shape["hidden_size"], shape["intermediate_size"]
    queries = shape["num_attention_heads"] * shape["head_dim"]
    keys = shape["num_key_value_heads"] * shape["head_dim"]
    yield "model.embed_tokens.weight", (shape["vocab_size"], hidden)
    for layer in range(shape["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name, size in {"self_attn.q_proj": (queries, hidden), "self_attn.k_proj": (keys, hidden),
                           "self_attn.v_proj": (keys, hidden), "self_attn.o_proj": (hidden, queries),
                           "mlp.gate_proj": (wide, hidden), "mlp.up_proj": (wide, hidden),
                           "mlp.down_proj": (hidden, wide), "input_layernorm": (hidden,),
                           "post_attention_layernorm": (hidden,)}.items():
            yield f"{prefix}{name}.weight", size
    yield "model.norm.weight", (hidden,)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shape = SHAPES[options.shape]
    options.out.mkdir(parents=True)
    generator = torch.Generator().manual_seed(options.seed)
    tensors = {}
    for name, size in tensors_of(shape):
        if len(size) == 1:
            tensors[name] = torch.ones(size, dtype=torch.bfloat16)
        else:
            tensors[name] = torch.empty(size, dtype=torch.bfloat16).normal_(0, 0.02,
                                                                            generator=generator)
    save_file(tensors, options.out / "model.safetensors", metadata={"format": "pt"})
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
              "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
              "tie_word_embeddings": True, "torch_dtype": "bfloat16", **shape}
    source = json.loads((options.tokenizer / "config.json").read_text())
    config |= {key: source[key] for key in ("bos_token_id", "eos_token_id") if key in source}
    (options.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (options.tokenizer / name).exists():
            shutil.copy(options.tokenizer / name, options.out / name)
    count = sum(tensor.numel() for tensor in tensors.values())
    print(f"{options.out}: {count / 1e9:.2f} billion weights")


if __name__ == "__main__":
    main()
