#!/usr/bin/env python3
"""What recipes/data-all-stages.toml needs beside the standing corpus: a quality model, a held-out
set and a word list.

    recipes/fetch_text.py
    recipes/data_extras.py [--tigerbot build/tigerbot]

Writes to the corpus' folder `extras`:

quality.bin     good: chapters of books and manuals in four languages; bad: what crawls are full of,
                made from the same texts: words out of order, lists of link texts, one line again
                and again, with advertising between
held-out.jsonl  a paragraph of every 50th document, as the questions of an examination would be
words.txt       words of gambling and advertising in four languages, for the `harmful` stage
"""

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from fetch_text import LANGUAGES, cache_folder, die  # noqa: E402

BOOKS = ("handbook", "debian-faq", "debian-reference", "maint-guide", "debmake", "developers-reference",
         "installation-guide", "anarchism", "debian-policy", "gnome-user-docs", "libreoffice-help", "apache2-doc")
ADVERTISING = ["click here to buy now", "best price today only", "点击这里立即购买", "限时优惠，加微信", "今すぐ購入",
               "送料無料 ポイント10倍", "지금 구매하기", "무료 배송 특가"]
WORDS = {
    "gambling": ["online casino", "casino bonus", "jackpot slots", "sports betting", "在线赌场", "博彩网站", "六合彩", "百家乐",
                 "線上賭場", "オンラインカジノ", "パチンコ必勝法", "온라인 카지노", "바카라 사이트", "토토 사이트"],
    "advertising": ["buy followers", "cheap replica watches", "weight loss pills", "代开发票", "刷单兼职", "减肥药",
                    "出会い系サイト", "激安ブランドコピー", "대출 상담", "성인 광고"],
}


def spoiled(text, rng):
    wide = any("\u3040" <= c <= "\ud7ff" for c in text[:400])
    lines = [line for line in text.split("\n") if line.strip()][:40]
    kind = rng.randrange(3)
    if kind == 0:
        units = list("".join(lines)[:1500]) if wide else " ".join(lines).split()[:300]
        rng.shuffle(units)
        return ("" if wide else " ").join(units)
    if kind == 1:
        links = [line[: rng.randint(4, 20)] for line in lines]
        return " | ".join(link for pair in zip(links, rng.choices(ADVERTISING, k=len(links))) for link in pair)
    return "\n".join([rng.choice(lines), rng.choice(ADVERTISING)] * rng.randint(5, 20))


def write_rows(path, rows):
    partial = path.with_suffix(".partial")
    with open(partial, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    os.replace(partial, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=cache_folder() / "corpus")
    parser.add_argument("--tigerbot", default="tigerbot", help="the program")
    arguments = parser.parse_args()
    rng = random.Random(1)
    good, bad, held_out = [], [], []
    for language in LANGUAGES:
        path = arguments.corpus / f"{language}.jsonl"
        if not path.exists():
            die(f"{path} is missing; run recipes/fetch_text.py first")
        with open(path, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        for row in rows[::50]:
            paragraphs = [p for p in row["text"].split("\n\n") if 120 <= len(p) <= 1000]
            if paragraphs:
                held_out.append({"question": rng.choice(paragraphs), "language": language})
        books = [row["text"] for row in rows if any(name in row["package"] for name in BOOKS)]
        rng.shuffle(books)
        half = min(400, len(books) // 2)
        good += [{"text": text[:4000]} for text in books[:half]]
        bad += [{"text": spoiled(text, rng)} for text in books[half : 2 * half]]
    extras = arguments.corpus / "extras"
    extras.mkdir(exist_ok=True)
    write_rows(extras / "held-out.jsonl", held_out)
    write_rows(extras / "good.jsonl", good)
    write_rows(extras / "bad.jsonl", bad)
    (extras / "words.txt").write_text("".join(f"{w}\t{c}\n" for c, words in WORDS.items() for w in words), "utf-8")
    try:
        subprocess.run([arguments.tigerbot, "data", "train-quality", extras / "quality.bin", "--good",
                        extras / "good.jsonl", "--bad", extras / "bad.jsonl"], check=True)
    except FileNotFoundError:
        die(f"{arguments.tigerbot} cannot be run; give the program's path with --tigerbot")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    print(f"{extras}: {len(held_out)} held-out rows, {len(good)} good and {len(bad)} bad texts")


if __name__ == "__main__":
    main()
