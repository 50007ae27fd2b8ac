"""Compression against vocabulary size and against sample size, beside plain SentencePiece and
bpe-continue.

    pip install sentencepiece tokenizers bpe-continue
    python bench/tokenizer_curves.py --tigerbot build/tigerbot --base smollm2-135m-instruct \
        --corpus CORPUS/zh.jsonl CORPUS/zh-Hant.jsonl CORPUS/ja.jsonl CORPUS/ko.jsonl \
        --base-language CORPUS/en.jsonl --work FOLDER [--peers]

JSON lines with "text"; the language is the file's name up to a dot or dash. One document in ten (by
the hash of its text) is held out; figures are characters a token on those, ASCII left out, and how
many of the held-out lines of the base's language encode otherwise than before. Prints Markdown.
"""

import argparse
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

# A script beside this one has the name of a peer.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != pathlib.Path(__file__).resolve().parent]


def split_corpus(files, work):
    """Writes LANGUAGE.train.jsonl and LANGUAGE.test.jsonl; returns the languages."""
    languages = []
    for file in files:
        language = re.split("[.-]", file.name)[0]
        mode = "a" if language in languages else "w"
        with open(work / f"{language}.train.jsonl", mode) as train, open(work / f"{language}.test.jsonl", mode) as test:
            for line in open(file):
                text = json.loads(line)["text"]
                held_out = int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10 == 0
                (test if held_out else train).write(json.dumps({"text": text, "language": language}, ensure_ascii=False) + "\n")
        if language not in languages:
            languages.append(language)
    return languages


def run(*command):
    start = time.time()
    output = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout
    return json.loads(output), time.time() - start


def truncate(source, target, pieces):
    """The first `pieces` pieces of an extended byte-level tokenizer are what a lower limit gives."""
    document = json.load(open(source / "tokenizer.json"))
    vocab = {piece: number for piece, number in document["model"]["vocab"].items() if number < pieces}
    merges = [m for m in document["model"]["merges"] if "".join(m if isinstance(m, list) else m.split(" ")) in vocab]
    document["model"].update(vocab=vocab, merges=merges)
    target.mkdir(parents=True, exist_ok=True)
    json.dump(document, open(target / "tokenizer.json", "w"), ensure_ascii=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tigerbot", default="build/tigerbot")
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--corpus", nargs="+", type=pathlib.Path, required=True)
    parser.add_argument("--base-language", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--sizes", nargs="+", type=int, default=[50176, 51200, 53248, 57344, 61440, 65535])
    parser.add_argument("--samples", nargs="+", default=["256K", "1M", "4M", "16M", "all"])
    parser.add_argument("--peers", action="store_true", help="plain SentencePiece BPE of 16,000 pieces, bpe-continue")
    options = parser.parse_args()
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    languages = split_corpus(options.corpus, work)
    base_language = split_corpus([options.base_language], work)[0]
    train = [work / f"{language}.train.jsonl" for language in languages]
    tests = [work / f"{language}.test.jsonl" for language in languages]
    base_lines = work / "base_lines.txt"
    base_lines.write_text("\n".join(json.loads(row)["text"] for row in open(work / f"{base_language}.test.jsonl")))
    rows = []

    def report(name, tokenizer, note=""):
        result, _ = run(options.tigerbot, "tokenizer", "report", tokenizer, "--text", *tests, "--json")
        result = result["tokenizers"][0]
        figures = [f"{result['languages'][language]['characters_per_token_without_ascii']:.3f}" for language in languages]
        rows.append([name, f"{result['pieces']:,}", *figures, note])
        print("|", " | ".join(rows[-1]), "|", flush=True)

    def changes(result):
        pure, others = result["base_text"], result["other_text"]
        return f"{pure['changed_lines']} of {pure['lines']:,} lines of Latin text changed, {others['changed_lines']} of {others['lines']} others"

    def extend(output, *more):
        shutil.rmtree(output, ignore_errors=True)
        return run(options.tigerbot, "tokenizer", "extend", options.base, "--corpus", *train, "--output", output, "--base-text", base_lines, "--json", *more)

    print("| | pieces |", " | ".join(languages), "| |")
    print("|---|---|" + "---|" * len(languages) + "---|")
    report("base", options.base)
    for sample in options.samples:
        more = [] if sample == "all" else ["--sample-bytes", sample]
        result, seconds = extend(work / f"sample-{sample}", *more)
        drawn = sum(language["bytes"] for language in result["sample"]["languages"].values())
        report(f"sample {sample}", work / f"sample-{sample}", f"{drawn / 1e6:.1f} MB, {seconds:.1f} s; {changes(result)}")
    whole = work / f"sample-{options.samples[-1]}"
    for size in options.sizes[:-1]:
        truncate(whole, work / f"size-{size}", size)
        report(f"{size:,} pieces", work / f"size-{size}")
    result, seconds = extend(work / "allow-changes", "--allow-changes")
    report("--allow-changes", work / "allow-changes", changes(result))
    if not options.peers:
        return

    def texts():
        for file in train:
            for row in open(file):
                yield json.loads(row)["text"]

    import bpe_continue
    import sentencepiece
    from tokenizers import Tokenizer

    prefix = work / "sentencepiece16k"
    if not prefix.with_suffix(".model").exists():
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line for text in texts() for line in text.split("\n") if line),
            model_prefix=str(prefix), vocab_size=16000, model_type="bpe", byte_fallback=True, num_threads=2, minloglevel=2, max_sentence_length=100000)
    report("SentencePiece BPE", prefix.with_suffix(".model"))
    # The base's own tokenizer.json, whatever format it came in.
    base, _ = run(options.tigerbot, "tokenizer", "report", options.base, "--json")
    pieces = base["tokenizers"][0]["pieces"]
    truncate(whole, work / "base", pieces)
    start = time.time()
    extended = bpe_continue.continue_training(str(work / "base" / "tokenizer.json"), texts=list(texts()), vocab_size=65535, show_progress=False)
    seconds = time.time() - start
    (work / "bpe-continue").mkdir(exist_ok=True)
    extended.save(str(work / "bpe-continue" / "tokenizer.json"))
    before = Tokenizer.from_file(str(work / "base" / "tokenizer.json"))
    lines = [line for line in base_lines.read_text().split("\n") if line]
    changed = sum(a.ids != b.ids for a, b in zip(before.encode_batch(lines), extended.encode_batch(lines)))
    report("bpe-continue", work / "bpe-continue", f"{seconds:.1f} s; {changed} of {len(lines)} lines changed")


if __name__ == "__main__":
    main()
