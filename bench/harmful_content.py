#!/usr/bin/env python3
"""How well the harmful-content stage finds offensive language, and how fast its dictionary is.

    python3 bench/harmful_content.py --data DATA --build build --corpus CORPUS

DATA/safety holds public word lists (houbb/sensitive-word, konsheng/Sensitive-lexicon, LDNOOBW) and
thu-coai/COLDataset's labelled test.csv; CORPUS as bench/data_filter_sets.py wants it. One half of
the labelled sentences (by turns) trains a fastText classifier, the other measures.
"""
import argparse
import csv
import glob
import json
import os
import subprocess
import tempfile


def word_lists(data):
    words = {}
    for path in sorted(glob.glob(f"{data}/safety/houbb_*/*dict*.txt") + glob.glob(f"{data}/safety/konsheng_*/*.txt") +
                       glob.glob(f"{data}/safety/LDNOOBW/??")):
        category = os.path.basename(path).removesuffix(".txt")
        if category.startswith("LICENSE"):
            continue
        for line in open(path, encoding="utf-8", errors="ignore"):
            word = line.strip().rstrip(",")
            if word and "\t" not in word and word not in words:
                words[word] = category
    return words


def write_rows(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--build", default="build")
    parser.add_argument("--corpus")
    parser.add_argument("--synthetic", type=int, default=120000, help="words to fill the dictionary up to")
    args = parser.parse_args()
    bench = os.path.join(args.build, "bench/bench_stages")
    with tempfile.TemporaryDirectory() as folder:
        words = word_lists(args.data)
        print(f"{len(words)} words")
        with open(f"{folder}/words.txt", "w", encoding="utf-8") as out:
            out.writelines(f"{word}\t{category}\n" for word, category in words.items())
        rows = []
        for row in csv.DictReader(open(f"{args.data}/safety/thu-coai_COLDataset/test.csv", encoding="utf-8-sig")):
            rows.append({"text": row["TEXT"], "label": "harmful" if row["label"] == "1" else "harmless"})
        write_rows(f"{folder}/train.jsonl", rows[0::2])
        write_rows(f"{folder}/test.jsonl", rows[1::2])
        print(subprocess.run([os.path.join(args.build, "tigerbot"), "data", "train-quality", f"{folder}/harm.bin", "--labelled",
                              f"{folder}/train.jsonl", "--validation", "0", "--epochs", "15", "--word-ngrams", "2",
                              "--min-count", "1"], check=True, capture_output=True, text=True).stdout, end="")
        dictionary = f'[[stage.dictionary]]\npath = "{folder}/words.txt"\n'
        classifier = f'[[stage.classifier]]\nkind = "fasttext"\nmodel = "{folder}/harm.bin"\n'
        for name, keys in (("dictionary, one word", "min_hits = 1\nmax_density = 0.001\n" + dictionary),
                           ("dictionary, 2 words and 30 per 1,000", "min_hits = 2\nmax_density = 30\n" + dictionary),
                           ("classifier", classifier), ("mean", "min_hits = 1\nmax_density = 30\ndictionary_weight = 0.3\n"
                                                                "max_score = 0.45\n" + dictionary + classifier),
                           ("cascade", 'combine = "cascade"\nmin_hits = 1\n' + dictionary + classifier)):
            recipe = f"{folder}/stage.toml"
            with open(recipe, "w", encoding="utf-8") as out:
                out.write('[[stage]]\nkind = "harmful"\n' + keys)
            result = subprocess.run([bench, "labels", recipe, f"{folder}/test.jsonl", "harmful"], check=True,
                                    capture_output=True, text=True).stdout
            print(f"{name:<40} {result}", end="")
        if args.corpus:
            # Words that no list has fill the dictionary up to the size that a service's has.
            filled = list(words)
            letters = [chr(c) for c in range(0x4E00, 0x5E00)]
            k = 0
            while len(filled) < args.synthetic:
                k += 1
                filled.append("".join(letters[(k * prime) % len(letters)] for prime in (7919, 104729, 1299709)))
            write_rows(f"{folder}/words.jsonl", ({"text": word} for word in filled))
            print(subprocess.run([bench, "dictionary", f"{folder}/words.jsonl"] +
                                 [f"{args.corpus}/{name}.jsonl" for name in ("en", "zh", "zh-Hant", "ja", "ko")],
                                 check=True, capture_output=True, text=True).stdout, end="")


if __name__ == "__main__":
    main()
