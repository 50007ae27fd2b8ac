#!/usr/bin/env python3
"""The corpus less what is measured on: the documents whose SHA-256 does not begin with 0.

    recipes/training_documents.py --corpus ~/.cache/tigerbot/corpus --languages en,zh --out DIR

bench/quantization_quality.py holds the others out, so a model that learns from these has not seen
what it measures. Writes DIR/train.jsonl.
"""

import argparse
import hashlib
import json
import pathlib


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--languages", default="en")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "train.jsonl").open("w", encoding="utf-8") as train:
        for language in options.languages.split(","):
            file = options.corpus.expanduser() / f"{language}.jsonl"
            for line in file.open(encoding="utf-8"):
                text = json.loads(line)["text"]
                if not hashlib.sha256(text.encode()).hexdigest().startswith("0"):
                    train.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
