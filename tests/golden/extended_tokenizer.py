"""Writes tests/golden/extended_tokenizer/: a small English byte-level BPE, extended, and the ids that
tokenizers and transformers give with it.

    pip install tokenizers transformers
    python tests/golden/extended_tokenizer.py --tigerbot build/tigerbot

The text is tests/golden/bpe_trainer/text.txt: its ASCII lines make the base, all of it the extension.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tigerbot", default="build/tigerbot")
    options = parser.parse_args()
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    text = (HERE / "bpe_trainer" / "text.txt").read_bytes().decode()
    lines = text.split("\n")
    english = "".join(line + "\n" for line in lines if line and line.isascii())
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for name, content in (("english", english), ("all", text)):
            (work / f"{name}.jsonl").write_text(json.dumps({"text": content}) + "\n")
        run = lambda *command: subprocess.run([options.tigerbot, "tokenizer", *map(str, command)], check=True)
        run("train", work / "english.jsonl", "--output", work / "base", "--vocab-size", 500, "--limit-alphabet", 250, "--pre-tokenizer", "smollm", "--special-token", "<|endoftext|>", "--special-token", "<|im_start|>")
        run("extend", work / "base", "--corpus", work / "all.jsonl", "--max-pieces", 900, "--output", work / "extended")
        tokenizer = Tokenizer.from_file(str(work / "extended" / "tokenizer.json"))
        auto = AutoTokenizer.from_pretrained(work / "extended")
        rows = []
        for line in lines:
            ids = tokenizer.encode(line, add_special_tokens=False).ids
            assert ids == auto(line, add_special_tokens=False)["input_ids"]
            rows.append(ids)
        out = HERE / "extended_tokenizer"
        out.mkdir(exist_ok=True)
        document = json.load(open(work / "extended" / "tokenizer.json"))
        (out / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
        (out / "ids.json").write_text(json.dumps(rows, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
