"""Writes tests/golden/bpe_trainer/: a small multilingual text, and what Hugging Face's BpeTrainer
makes of it under many settings.

    pip install tokenizers==0.23.3
    python tests/golden/bpe_trainer.py

The text is sentences in nine languages, words drawn from them with Zipf-like repetition, and words
with long runs, where counting pairs is hard.
"""

import json
import os
import pathlib
import random

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).resolve().parent / "bpe_trainer"

SENTENCES = """All human beings are born free and equal in dignity and rights.
They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.
It's what we've all said: they'll come, won't they? No. 12, 1,024 and 3.14159!
人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。
人人有資格享有本宣言所載的一切權利和自由，不分種族、膚色、性別、語言、宗教。
すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。
人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.
인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.
Все люди рождаются свободными и равными в своем достоинстве и правах.
Tous les êtres humains naissent libres et égaux en dignité et en droits.
यह एक छोटा वाक्य है। สวัสดีชาวโลก מה שלומך? 👩‍👩‍👧‍👦 👍🏽 e\u0301\u0302
\tif (x == 0) {  return  y[i++];  }\r
""".splitlines(keepends=True)


def text():
    rng = random.Random(7)
    words = " ".join(SENTENCES).split()
    words += [sentence[i : i + 4] for sentence in SENTENCES[3:9] for i in range(len(sentence) - 4)]
    lines = list(SENTENCES)
    for _ in range(260):
        line = []
        for _ in range(rng.randint(1, 12)):
            word = words[min(int(rng.paretovariate(0.5)) - 1, len(words) - 1)]
            line.append(word)
        lines.append(rng.choice([" ", " ", "  ", ""]).join(line) + "\n")
    for _ in range(120):
        lines.append(" ".join("".join(rng.choice("aaab") * rng.choice([1, 1, 2, 5]) for _ in range(rng.randint(1, 6))) for _ in range(4)) + "\n")
    return "".join(lines)


def pre_tokenizer(name):
    if name == "gpt-2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    if name == "qwen2":
        pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        from tokenizers import Regex

        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    raise ValueError(name)


CASES = [
    {"vocab_size": 900},
    {"vocab_size": 100000},
    {"vocab_size": 700, "pre_tokenizer": "smollm", "special_tokens": ["<|endoftext|>", "<|im_start|>"]},
    {"vocab_size": 700, "pre_tokenizer": "qwen2"},
    {"vocab_size": 5000, "min_frequency": 4},
    {"vocab_size": 600, "max_token_length": 5},
    {"vocab_size": 400, "max_token_length": 2},
    {"vocab_size": 500, "byte_alphabet": False},
    {"vocab_size": 450, "byte_alphabet": False, "limit_alphabet": 40},
    # Special tokens that merges make too.
    {"vocab_size": 600, "special_tokens": ["aa", "aab", "the", "and", "ing", "aaaa"]},
    {"vocab_size": 100},
]


def train(case, path):
    tokenizer = Tokenizer(models.BPE())
    if case.get("pre_tokenizer") == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizer(case.get("pre_tokenizer", "gpt-2"))
    settings = {key: case[key] for key in ("vocab_size", "min_frequency", "max_token_length", "limit_alphabet", "special_tokens") if key in case}
    alphabet = pre_tokenizers.ByteLevel.alphabet() if case.get("byte_alphabet", True) else []
    tokenizer.train([str(path)], trainers.BpeTrainer(show_progress=False, initial_alphabet=alphabet, **settings))
    model = json.loads(tokenizer.to_str())["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return {**case, "pieces": sorted(model["vocab"], key=model["vocab"].get), "merges": merges}


def main():
    HERE.mkdir(exist_ok=True)
    path = HERE / "text.txt"
    path.write_bytes(text().encode())
    results = [train(case, path) for case in CASES]
    (HERE / "results.json").write_text(json.dumps(results, ensure_ascii=False, separators=(",", ":")) + "\n")
    print([len(r["merges"]) for r in results])


if __name__ == "__main__":
    main()
