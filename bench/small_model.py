#!/usr/bin/env python3
"""A model of 10 million parameters, trained from the same first weights on the same tokens by
TigerBot and by PyTorch with transformers: are the losses as low?

    recipes/fetch_text.py CORPUS                  # the corpus: real text in four languages
    ninja -C build tigerbot bench_training_batches
    python bench/small_model.py FOLDER --corpus CORPUS --steps 700 prepare tigerbot torch table

The steps can be run one by one; FOLDER keeps what they make, and `torch` goes on where it was
stopped. `prepare` trains a tokenizer of 16,384 pieces, writes token shards (every 50th document is
held out), draws first weights and writes the recipe. PyTorch's side keeps float32 masters of bfloat16
weights and fused AdamW, as ours does; sequences of one document each, by an attention mask.

Needs torch, transformers and safetensors.
"""

import argparse
import glob
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SEQUENCE = 512
TOKENS_A_STEP = 8192
PEAK, LAST = 1e-3, 1e-4


def call(command, **options):
    done = subprocess.run([str(word) for word in command], **options)
    if done.returncode != 0:
        sys.exit(f"{command[0]}: exit status {done.returncode}")
    return done


def recipe(folder, steps):
    return f"""# Written by bench/small_model.py
output = "tigerbot"
[model]
path = "start"
[data]
objective = "pretrain"
sequence_length = {SEQUENCE}
epochs = 100
[[data.source]]
path = "shards/train"
[train]
steps = {steps}
global_batch_tokens = {TOKENS_A_STEP}
micro_batch_sequences = {TOKENS_A_STEP // SEQUENCE}
learning_rate = {PEAK}
final_learning_rate = {LAST}
warmup_steps = {warmup(steps)}
explosion_factor = 0.0
[checkpoint]
every_steps = 200
"""


def warmup(steps):
    return max(1, steps // 50)


def rate(step, steps):
    if step < warmup(steps):
        return PEAK * step / warmup(steps)
    t = (step - warmup(steps)) / (steps - warmup(steps))
    return LAST + (PEAK - LAST) * 0.5 * (1 + math.cos(math.pi * t))


def prepare(folder, arguments):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "train.jsonl", "w", encoding="utf-8") as train, \
            open(folder / "held-out.jsonl", "w", encoding="utf-8") as held_out:
        number = 0
        for file in sorted(glob.glob(os.path.join(arguments.corpus, "*.jsonl"))):
            for line in open(file, encoding="utf-8"):
                number += 1
                (held_out if number % 50 == 0 else train).write(
                    json.dumps({"text": json.loads(line)["text"]}, ensure_ascii=False) + "\n")
    call([arguments.tigerbot, "tokenizer", "train", folder / "train.jsonl", "--type",
          "byte-level-bpe", "--vocab-size", "16384", "--special-token", "<|end|>", "--eos-token",
          "<|end|>", "--sample-bytes", "20M", "--output", folder / "start"])
    call([arguments.tigerbot, "data", "tokenize", folder / "train.jsonl", "--tokenizer",
          folder / "start", "--append-eod", "--output", folder / "shards/train"])
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=16384, hidden_size=256, intermediate_size=704,
                         num_hidden_layers=8, num_attention_heads=4, num_key_value_heads=2,
                         max_position_embeddings=2048, tie_word_embeddings=True)
    LlamaForCausalLM(config).save_pretrained(folder / "start")
    (folder / "recipe.toml").write_text(recipe(folder, arguments.steps))


def tigerbot(folder, arguments):
    (folder / "recipe.toml").write_text(recipe(folder, arguments.steps))
    call([arguments.tigerbot, "train", folder / "recipe.toml", "--threads", arguments.threads])


def torch_run(folder, arguments):
    import torch
    from transformers import LlamaForCausalLM
    torch.set_num_threads(arguments.threads)
    with open(folder / "batches.jsonl", "w", encoding="utf-8") as file:
        call([arguments.batches, folder / "recipe.toml", arguments.steps], stdout=file)
    model = LlamaForCausalLM.from_pretrained(folder / "start", dtype=torch.float32)
    model.config._attn_implementation = "sdpa"
    masters = [p.detach().clone().float() for p in model.parameters()]
    model = model.bfloat16().train()
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in masters if p.dim() > 1], "weight_decay": 0.1},
         {"params": [p for p in masters if p.dim() <= 1], "weight_decay": 0.0}],
        lr=PEAK, betas=(0.9, 0.95), eps=1e-5, fused=True)
    done = 0
    kept = folder / "torch.pt"
    if kept.exists():
        state = torch.load(kept)
        done = state["step"]
        optimizer.load_state_dict(state["optimizer"])
        for master, stored, p in zip(masters, state["masters"], model.parameters()):
            master.copy_(stored)
            p.data.copy_(stored)
    lines = (folder / "torch.jsonl").read_text().splitlines()[:done] if done else []
    with open(folder / "torch.jsonl", "w", encoding="utf-8") as log:
        log.writelines(line + "\n" for line in lines)
        for step, line in enumerate(open(folder / "batches.jsonl", encoding="utf-8"), 1):
            if step <= done:
                continue
            start = time.perf_counter()
            batch = json.loads(line)
            ids = torch.tensor(batch["ids"]).view(-1, SEQUENCE)
            labels = torch.tensor(batch["labels"])
            lengths = torch.tensor(batch["lengths"])
            positions = torch.cat([torch.arange(n) for n in batch["lengths"]]).view(-1, SEQUENCE)
            documents = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
            documents = documents.view(-1, SEQUENCE)
            same = documents[:, :, None] == documents[:, None, :]
            mask = (same & torch.ones(SEQUENCE, SEQUENCE, dtype=torch.bool).tril())[:, None]
            for group in optimizer.param_groups:
                group["lr"] = rate(step, arguments.steps)
            model.zero_grad(set_to_none=True)
            logits = model(input_ids=ids, position_ids=positions, attention_mask=mask).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels)
            loss.backward()
            for master, p in zip(masters, model.parameters()):
                master.grad = p.grad.float()
            torch.nn.utils.clip_grad_norm_(masters, 1.0)
            optimizer.step()
            with torch.no_grad():
                for master, p in zip(masters, model.parameters()):
                    p.copy_(master)
            log.write(json.dumps({"step": step, "loss": loss.item(),
                                  "seconds": time.perf_counter() - start}) + "\n")
            log.flush()
            if step % 50 == 0 or step == arguments.steps:
                torch.save({"step": step, "masters": masters,
                            "optimizer": optimizer.state_dict()}, kept)
    model.save_pretrained(folder / "torch")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / "torch" / file).write_bytes((folder / "start" / file).read_bytes())


def table(folder, arguments):
    ours = [json.loads(line) for line in open(folder / "tigerbot/metrics.jsonl", encoding="utf-8")]
    ours = {line["step"]: line["loss"] for line in ours if line["kind"] == "train"}
    theirs = [json.loads(line) for line in open(folder / "torch.jsonl", encoding="utf-8")]
    theirs = {line["step"]: line["loss"] for line in theirs}
    last = min(max(ours), max(theirs))
    print("| steps | tokens | TigerBot | PyTorch |\n|---|---|---|---|")
    width = max(1, last // 10)
    for end in range(width, last + 1, width):
        steps = range(end - width + 1, end + 1)
        print(f"| {steps[0]} to {end} | {end * TOKENS_A_STEP:,} | "
              f"{statistics.mean(ours[s] for s in steps):.4f} | "
              f"{statistics.mean(theirs[s] for s in steps):.4f} |")
    apart = [abs(ours[s] - theirs[s]) for s in range(1, last + 1)]
    print(f"largest difference of a step {max(apart):.4f}, mean {statistics.mean(apart):.4f}")
    for name in ("tigerbot/final", "torch"):
        if not (folder / name / "config.json").exists():
            continue
        text = folder / "held-out.txt"
        text.write_text("\n\n".join(json.loads(line)["text"] for line in
                                    open(folder / "held-out.jsonl", encoding="utf-8")),
                        encoding="utf-8")
        result = json.loads(call([arguments.tigerbot, "eval", folder / name, "--perplexity", text,
                                  "--context", SEQUENCE, "--json"], capture_output=True).stdout)
        print(f"{name}: held-out loss {result['nll'] / result['tokens']:.4f} "
              f"over {result['tokens']:,} tokens")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="+", choices=["prepare", "tigerbot", "torch", "table"])
    parser.add_argument("--corpus")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tigerbot", default="build/tigerbot")
    parser.add_argument("--batches", default="build/bench/bench_training_batches")
    arguments = parser.parse_args()
    # Scripts beside this one must not stand for packages of the same name.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path = [p for p in sys.path if os.path.abspath(p) != here]
    parts = {"prepare": prepare, "tigerbot": tigerbot, "torch": torch_run, "table": table}
    for part in arguments.parts:
        parts[part](arguments.folder, arguments)


if __name__ == "__main__":
    main()
