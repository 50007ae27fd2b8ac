#!/usr/bin/env python3
"""Our normalize, language and rules stages beside datatrove's Gopher, C4 and FineWeb filters, and
language identification beside pycld2: the same documents, two workers, in turn.

    python3 -m venv VENV && VENV/bin/pip install datatrove nltk spacy pycld2
    VENV/bin/python bench/data_filters.py --program build/bench/bench_stages CORPUS/en.jsonl ...
    VENV/bin/python bench/data_filters.py --program build/bench/bench_stages \
        --language SETS/language-5.jsonl ...        (bench/data_filter_sets.py makes them)

Documents of more than --piece characters are cut between paragraphs, so that they are of the size
of web pages; --documents limits how many are taken of each file. datatrove's filters run in two
processes over documents in memory, without its readers and writers; ours likewise in two threads.
"""
import argparse
import json
import multiprocessing
import os
import subprocess
import tempfile
import time


def pieces(text, size):
    piece = ""
    for paragraph in text.split("\n\n"):
        piece += ("\n\n" if piece else "") + paragraph
        if len(piece) >= size:
            yield piece
            piece = ""
    if piece:
        yield piece


def read(files, size, limit):
    texts = []
    for name in files:
        count = 0
        with open(name, encoding="utf-8") as file:
            for line in file:
                for piece in pieces(json.loads(line)["text"], size):
                    if count < limit and len(piece) >= size // 4:
                        texts.append(piece)
                        count += 1
    return texts


def chain():
    """Gopher repetition and quality, C4, FineWeb, as FineWeb's own pipeline has them."""
    from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                            GopherRepetitionFilter)
    return [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False),
            FineWebQualityFilter()]


def run_datatrove(texts):
    from datatrove.data import Document
    filters = chain()
    # The tokenizer is loaded before the clock starts.
    for filter_ in filters:
        filter_.filter(Document(text="A short text. Of two sentences.", id="warm"))
    start = time.perf_counter()
    kept = 0
    for number, text in enumerate(texts):
        document = Document(text=text, id=str(number))
        for filter_ in filters:
            result = filter_.filter(document)
            if not (result is True):
                break
        else:
            kept += 1
    return kept, time.perf_counter() - start


def filters(args):
    texts = read(args.files, args.piece, args.documents)
    size = sum(len(t.encode()) for t in texts) / 1e6
    print(f"{len(texts)} documents, {size:.1f} MB", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "documents.jsonl")
        with open(path, "w", encoding="utf-8") as out:
            for text in texts:
                out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
        recipe = os.path.join(folder, "chain.toml")
        with open(recipe, "w") as out:
            out.write("".join(f'[[stage]]\nkind = "{kind}"\n' for kind in ("normalize", "language", "rules")))
        half = (len(texts) + 1) // 2
        for turn in range(args.turns):
            print(subprocess.run([args.program, "speed", recipe, path], check=True, capture_output=True,
                                 text=True).stdout, end="", flush=True)
            with multiprocessing.Pool(2) as pool:
                results = pool.map(run_datatrove, [texts[:half], texts[half:]])
            slowest = max(seconds for _, seconds in results)
            kept = sum(count for count, _ in results)
            print(f"datatrove, 2 processes: {size / slowest:8.2f} MB/s, {len(texts) / slowest:.0f} documents/s, "
                  f"keeps {kept}", flush=True)


def language(args):
    import pycld2
    codes = {"zh": "zh", "zh-Hant": "zh-Hant", "ja": "ja", "ko": "ko", "en": "en"}
    for name in args.language:
        print(subprocess.run([args.program, "language", name], check=True, capture_output=True, text=True).stdout,
              end="")
        right, everything = {}, {}
        for row in map(json.loads, open(name, encoding="utf-8")):
            truth = row["language"]
            try:
                found = pycld2.detect(row["text"])[2][0][1]
            except pycld2.error:
                found = ""
            everything[truth] = everything.get(truth, 0) + 1
            right[truth] = right.get(truth, 0) + (codes.get(found, found) == truth)
        print("    pycld2: " + ", ".join(f"{k} {100 * right[k] / everything[k]:.2f}%" for k in sorted(everything)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    parser.add_argument("--program", default="build/bench/bench_stages")
    parser.add_argument("--piece", type=int, default=2000)
    parser.add_argument("--documents", type=int, default=2000, help="of each file")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--language", nargs="*", default=[])
    args = parser.parse_args()
    if args.language:
        language(args)
    if args.files:
        filters(args)


if __name__ == "__main__":
    main()
