#!/usr/bin/env python3
"""Golden training runs of small random models, from PyTorch, transformers and PEFT.

    python tests/golden/train.py          writes tests/golden/train.json and train_gradients.safetensors

No weights are stored: both sides fill each parameter from its name by the same hash (models.py).
Needs torch, transformers, peft and safetensors.
"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import BloomConfig, BloomForCausalLM, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from models import config_json, fill, hashed_parameter, hashed_uniform, ids_of, llama, sized

STEPS = 20
LEARNING_RATE = 3e-3
FINAL_RATE = 3e-4
WARMUP = 4
GRADIENTS = {}  # of the first step, element by element: "RUN/PARAMETER"


def learning_rate(step):
    """As src/train/schedule.cpp: linear warm-up, then half a cosine."""
    import math
    if step < WARMUP:
        return LEARNING_RATE * step / WARMUP
    t = min(1.0, max(0.0, (step - WARMUP) / (STEPS - WARMUP)))
    return LEARNING_RATE + (FINAL_RATE - LEARNING_RATE) * 0.5 * (1 - math.cos(math.pi * t))


def batches(name, lengths, vocab_size):
    """For each step, sequences of (ids, first predicted token)."""
    steps = []
    for step in range(STEPS):
        rows = []
        for i, length in enumerate(lengths):
            ids = ids_of(f"{name}.{step}.{i}", length, vocab_size)
            rows.append((ids, 1 + (step + i) % max(1, length // 2)))
        steps.append(rows)
    return steps


def loss_of(model, rows):
    """Mean loss over every label of the step; each row alone."""
    total, count = 0, 0
    for ids, first in rows:
        logits = model(torch.tensor([ids])).logits[0].float()
        total = total + torch.nn.functional.cross_entropy(
            logits[first - 1:-1], torch.tensor(ids[first:]), reduction="sum")
        count += len(ids) - first
    return total / count


def adamw(parameters):
    parameters = list(parameters)
    return torch.optim.AdamW(
        [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.1},
         {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0}],
        lr=LEARNING_RATE, betas=(0.9, 0.95), eps=1e-5)


def projection(name, gradient):
    flat = gradient.flatten().double()
    return float(flat @ torch.from_numpy(hashed_uniform(name + ".direction", flat.numel())).double())


def run(model, steps):
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = adamw(trained.values())
    losses, norms, gradients = [], [], {}
    for number, rows in enumerate(steps, 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(number)
        optimizer.zero_grad()
        loss = loss_of(model, rows)
        loss.backward()
        if number == 1:
            gradients = {n: p.grad.clone() for n, p in trained.items()}
        losses.append(float(loss.detach()))
        norms.append(float(torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)))
        optimizer.step()
    return {"losses": losses, "gradient_norms": norms, "gradients": gradients,
            "weights": {n: projection(n.replace(".default", ""), p.detach()) for n, p in trained.items()}}


def run_bfloat16(make, steps):
    """bfloat16 weights and activations, float32 masters and state."""
    model = make().bfloat16()
    masters = [p.detach().float() for p in model.parameters()]
    optimizer = adamw(masters)
    losses = []
    for number, rows in enumerate(steps, 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(number)
        model.zero_grad()
        loss = loss_of(model, rows)
        loss.backward()
        for master, p in zip(masters, model.parameters()):
            master.grad = p.grad.float()
        torch.nn.utils.clip_grad_norm_(masters, 1.0)
        optimizer.step()
        with torch.no_grad():
            for master, p in zip(masters, model.parameters()):
                p.copy_(master)
        losses.append(float(loss.detach()))
    return losses


def full(name, model_class, config, lengths):
    config._attn_implementation = "eager"
    make = lambda: fill(model_class(config)).train()
    steps = batches(name, lengths, config.vocab_size)
    result = run(make(), steps)
    result["losses_bfloat16"] = run_bfloat16(make, steps)
    return {"name": name, "config": config_json(config),
            "steps": [[{"ids": ids, "first": first} for ids, first in rows] for rows in steps],
            **apart(name, result)}


def apart(name, result):
    """The result without its gradients, which go into a file of tensors."""
    for parameter, gradient in result.pop("gradients").items():
        GRADIENTS[f"{name}/{parameter.replace('.default', '')}"] = gradient.contiguous()
    return result


def lora(name, model_class, config, lengths, rank, alpha, targets):
    config._attn_implementation = "eager"
    model = get_peft_model(fill(model_class(config)).train(),
                           LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets,
                                      lora_dropout=0.0, task_type="CAUSAL_LM"))
    with torch.no_grad():
        for parameter_name, p in model.named_parameters():
            if p.requires_grad:
                p.copy_(hashed_parameter(parameter_name.replace(".default", ""), tuple(p.shape)))
    steps = batches(name, lengths, config.vocab_size)
    result = run(model, steps)
    result["weights"] = {n.replace(".default", ""): v for n, v in result["weights"].items()}
    return {"name": name, "config": config_json(config), "rank": rank, "alpha": alpha,
            "target_modules": targets,
            "steps": [[{"ids": ids, "first": first} for ids, first in rows] for rows in steps],
            **apart(name, result)}


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    golden = {
        "schedule": {"learning_rate": LEARNING_RATE, "final_learning_rate": FINAL_RATE,
                     "warmup_steps": WARMUP, "total_steps": STEPS},
        "full": [
            full("train_llama", LlamaForCausalLM,
                 llama(tie_word_embeddings=True, hidden_size=48, num_attention_heads=6,
                       num_key_value_heads=2), [17, 9, 12]),
            full("train_qwen3", Qwen3ForCausalLM, sized(Qwen3Config, head_dim=12), [11, 14]),
            full("train_bloom", BloomForCausalLM,
                 BloomConfig(vocab_size=73, hidden_size=32, n_layer=2, n_head=4), [13, 8]),
        ],
        "lora": [
            lora("train_lora", LlamaForCausalLM, llama(), [15, 10], 4, 8,
                 ["q_proj", "v_proj", "down_proj"]),
        ],
    }
    path = Path(__file__).parent / "train.json"
    path.write_text(json.dumps(golden, indent=None, separators=(",", ":")).replace("},{", "},\n{") + "\n")
    print(path.name, path.stat().st_size)
    save_file(GRADIENTS, path.with_name("train_gradients.safetensors"))
    print("train_gradients.safetensors", path.with_name("train_gradients.safetensors").stat().st_size)


if __name__ == "__main__":
    main()
