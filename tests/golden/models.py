#!/usr/bin/env python3
"""Golden outputs of small random models, from transformers.

    python tests/golden/models.py          writes tests/golden/models/*.json

No weights are stored: both sides fill each parameter from its name by the same hash
(tests/model/hashed_weights.h), so a file holds a config, token ids, and what transformers answers.
Needs torch and transformers.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from transformers import (
    BertConfig, BertModel, BloomConfig, BloomForCausalLM, LlamaConfig, LlamaForCausalLM,
    MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
    Qwen3ForCausalLM)

HERE = Path(__file__).parent / "models"


def hashed_uniform(name, count):
    """count float32 in [-1, 1): splitmix64 of FNV-1a(name) + index, top 24 bits."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def hashed_parameter(name, shape):
    """Norm weights lie around 1, vectors within 0.3, matrices keep the variance of what they map."""
    u = hashed_uniform(name, math.prod(shape))
    if len(shape) == 2:
        values = u * np.float32(math.sqrt(3.0 / shape[1]))
    elif name.endswith("bias"):
        values = u * np.float32(0.3)
    else:
        values = np.float32(1) + u * np.float32(0.3)
    return torch.from_numpy(values.reshape(shape))


def fill(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(hashed_parameter(name, tuple(parameter.shape)))
    return model.eval()


def ids_of(name, length, vocab_size):
    u = hashed_uniform(name, length).astype(np.float64)
    return [int(x) for x in ((u + 1) / 2 * vocab_size).astype(int)]


def rounded(values):
    return [float(f"{v:.7g}") for v in values]


def config_json(config):
    return json.loads(config.to_json_string())


def rms(a):
    return float(a.double().pow(2).mean().sqrt())


def decoder_golden(name, model_class, config, lengths):
    """Logits at two places of each sequence, and how far bfloat16 strays from float32 there."""
    sequences = []
    error, scale = [], []
    for i, length in enumerate(lengths):
        ids = ids_of(f"{name}.ids.{i}", length, config.vocab_size)
        positions = sorted({length // 2, length - 1})
        out = {}
        # A new model each time: dynamic scaling keeps state between calls.
        for dtype in (torch.float32, torch.bfloat16):
            config._attn_implementation = "eager"
            model = fill(model_class(config)).to(dtype)
            with torch.no_grad():
                out[dtype] = model(torch.tensor([ids])).logits[0].float()
        error.append((out[torch.bfloat16] - out[torch.float32]).flatten())
        scale.append(out[torch.float32].abs().max())
        sequences.append({
            "ids": ids,
            "positions": positions,
            "logits": [rounded(out[torch.float32][p].tolist()) for p in positions],
        })
    return {
        "name": name,
        "config": config_json(config),
        "sequences": sequences,
        "bfloat16_rms_error": rms(torch.cat(error)),
        "bfloat16_max_error": float(torch.cat(error).abs().max()),
    }


def encoder_golden(name, config, lengths):
    sequences = []
    error = []
    for i, length in enumerate(lengths):
        ids = ids_of(f"{name}.ids.{i}", length, config.vocab_size)
        out = {}
        for dtype in (torch.float32, torch.bfloat16):
            config._attn_implementation = "eager"
            model = fill(BertModel(config, add_pooling_layer=False)).to(dtype)
            with torch.no_grad():
                out[dtype] = model(torch.tensor([ids])).last_hidden_state[0].float()
        error.append((out[torch.bfloat16] - out[torch.float32]).flatten())
        hidden = out[torch.float32]
        vector = torch.nn.functional.normalize(hidden.mean(0), dim=0)
        sequences.append({
            "ids": ids,
            "positions": [length - 1],
            "hidden": [rounded(hidden[-1].tolist())],
            "sentence": rounded(vector.tolist()),
        })
    return {
        "name": name,
        "config": config_json(config),
        "sequences": sequences,
        "bfloat16_rms_error": rms(torch.cat(error)),
        "bfloat16_max_error": float(torch.cat(error).abs().max()),
    }


def gradient_golden(name, model_class, config, lengths):
    """Mean next-token loss over all sequences; each gradient as a norm, a projection and samples."""
    config._attn_implementation = "eager"
    model = fill(model_class(config))
    total, count, sequences = 0, 0, []
    for i, length in enumerate(lengths):
        ids = ids_of(f"{name}.ids.{i}", length, config.vocab_size)
        logits = model(torch.tensor([ids])).logits[0]
        total = total + torch.nn.functional.cross_entropy(
            logits[:-1], torch.tensor(ids[1:]), reduction="sum")
        count += length - 1
        sequences.append({"ids": ids})
    loss = total / count
    loss.backward()
    gradients = {}
    for parameter_name, parameter in model.named_parameters():
        g = parameter.grad.flatten().double()
        direction = torch.from_numpy(
            hashed_uniform(parameter_name + ".direction", g.numel())).double()
        gradients[parameter_name] = {
            "norm": float(g.norm()),
            "projection": float(g @ direction),
            "last": float(g[-1]),
        }
    return {
        "name": name,
        "config": config_json(config),
        "sequences": sequences,
        "loss": float(loss.detach()),
        "gradients": gradients,
    }


def rope(rope_type, **more):
    return {"rope_type": rope_type, **more}


def llama(**more):
    sizes = dict(vocab_size=67, hidden_size=48, intermediate_size=53, num_hidden_layers=2,
                 num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=64)
    return LlamaConfig(**{**sizes, **more})


def sized(config_class, **more):
    sizes = dict(vocab_size=71, hidden_size=40, intermediate_size=57, num_hidden_layers=3,
                 num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
    return config_class(**{**sizes, **more})


DECODERS = [
    # Llama 1: as many key/value heads as query heads; three heads of 14.
    ("llama1", LlamaForCausalLM,
     llama(hidden_size=42, num_attention_heads=3, num_key_value_heads=3), [9]),
    # Llama 2: grouped queries, five query heads to a key/value head.
    ("llama2", LlamaForCausalLM,
     llama(hidden_size=60, intermediate_size=91, num_attention_heads=5, num_key_value_heads=1,
           rms_norm_eps=1e-5), [11, 1, 6]),
    ("llama3", LlamaForCausalLM,
     llama(rope_theta=500000.0, max_position_embeddings=128,
           rope_scaling=rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=16)), [40, 13]),
    ("llama_linear", LlamaForCausalLM, llama(rope_scaling=rope("linear", factor=2.5)), [17, 8]),
    ("llama_dynamic", LlamaForCausalLM,
     llama(rope_scaling=rope("dynamic", factor=4.0), max_position_embeddings=16), [12, 30, 19]),
    ("llama_yarn", LlamaForCausalLM,
     llama(rope_scaling=rope("yarn", factor=4.0, original_max_position_embeddings=16)), [21, 50]),
    ("llama_yarn_options", LlamaForCausalLM,
     llama(rope_scaling=rope("yarn", factor=8.0, original_max_position_embeddings=8, beta_fast=4.0,
                             beta_slow=0.5, mscale=1.0, mscale_all_dim=0.5, truncate=False)), [33]),
    ("llama_biases", LlamaForCausalLM,
     llama(attention_bias=True, mlp_bias=True, tie_word_embeddings=True, head_dim=10), [7, 14]),
    # The default model's proportions: nine query heads, three key/value heads, tied.
    ("smollm2", LlamaForCausalLM,
     llama(hidden_size=72, num_attention_heads=9, num_key_value_heads=3, rope_theta=100000.0,
           tie_word_embeddings=True, rms_norm_eps=1e-5, num_hidden_layers=4), [16, 5, 23]),
    # The default model's width of a head, and sequences past a cache block and a tile.
    ("smollm2_wide", LlamaForCausalLM,
     llama(hidden_size=192, intermediate_size=256, num_attention_heads=3, num_key_value_heads=1,
           rope_theta=100000.0, tie_word_embeddings=True, max_position_embeddings=512), [270, 33]),
    ("mistral", MistralForCausalLM, sized(MistralConfig, sliding_window=5), [19, 4]),
    ("mistral_wide_heads", MistralForCausalLM,
     sized(MistralConfig, hidden_size=45, num_attention_heads=7, num_key_value_heads=7, head_dim=12,
           sliding_window=None), [13]),
    ("qwen2", Qwen2ForCausalLM,
     sized(Qwen2Config, tie_word_embeddings=True, rope_theta=1000000.0), [10, 18]),
    ("qwen2_windows", Qwen2ForCausalLM,
     sized(Qwen2Config, use_sliding_window=True, sliding_window=6, max_window_layers=1), [25]),
    ("qwen3", Qwen3ForCausalLM, sized(Qwen3Config, head_dim=16, rope_theta=1000000.0), [12, 9]),
    ("qwen3_options", Qwen3ForCausalLM,
     sized(Qwen3Config, head_dim=8, hidden_size=37, attention_bias=True, use_sliding_window=True,
           sliding_window=4, max_window_layers=2, tie_word_embeddings=True), [20]),
    ("bloom", BloomForCausalLM, BloomConfig(vocab_size=73, hidden_size=32, n_layer=2, n_head=4),
     [15, 6]),
    # ALiBi slopes of a head count that is no power of two.
    ("bloom_odd", BloomForCausalLM,
     BloomConfig(vocab_size=59, hidden_size=55, n_layer=3, n_head=5, tie_word_embeddings=False),
     [22, 1, 9]),
]

ENCODERS = [
    ("bert", BertConfig(vocab_size=61, hidden_size=36, intermediate_size=50, num_hidden_layers=2,
                        num_attention_heads=4, max_position_embeddings=32), [12, 1, 32]),
    ("bert_tanh", BertConfig(vocab_size=61, hidden_size=35, intermediate_size=71,
                             num_hidden_layers=3, num_attention_heads=5, hidden_act="gelu_new",
                             max_position_embeddings=40, type_vocab_size=1,
                             layer_norm_eps=1e-6), [17]),
]

GRADIENTS = [
    ("llama_gradients", LlamaForCausalLM,
     llama(num_attention_heads=6, num_key_value_heads=3, attention_bias=True, num_hidden_layers=2),
     [14, 9]),
    ("qwen3_gradients", Qwen3ForCausalLM,
     sized(Qwen3Config, head_dim=12, tie_word_embeddings=True, num_hidden_layers=2), [11, 6]),
    ("bloom_gradients", BloomForCausalLM,
     BloomConfig(vocab_size=53, hidden_size=30, n_layer=2, n_head=3), [10, 7]),
]


def write(name, rows):
    path = HERE / f"{name}.json"
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    print(path.name, path.stat().st_size)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    HERE.mkdir(exist_ok=True)
    write("decoders", [decoder_golden(*row) for row in DECODERS])
    write("encoders", [encoder_golden(*row) for row in ENCODERS])
    write("gradients", [gradient_golden(*row) for row in GRADIENTS])


if __name__ == "__main__":
    main()
