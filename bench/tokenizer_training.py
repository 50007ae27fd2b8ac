"""Trains a tokenizer on the same text with ours, tokenizers and sentencepiece: seconds and memory.

    pip install tokenizers sentencepiece
    python bench/tokenizer_training.py --tigerbot build/tigerbot CORPUS/en.jsonl CORPUS/zh.jsonl ... \
        [--megabytes 20] [--vocab-size 32000] [--rounds 3] [--threads 1 2]

JSON lines with "text"; the same number of bytes of every file as far as it has them. Programs take
turns, each in a fresh process pinned to as many processors as it has threads. Ours is the whole of
`tigerbot tokenizer train`, reading and writing included; for the peers it is the call that trains,
with the texts in memory already. Processor seconds are given for
machines that are busy with something else. Memory is the process's largest resident size. Says whether the
pieces and merges are those of tokenizers, and prints a Markdown table of medians.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

# A script beside this one has the name of a peer.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != pathlib.Path(__file__).resolve().parent]


def peer(name, texts_file, vocab_size, threads, output):
    texts = [json.loads(row)["text"] for row in open(texts_file)]
    if name == "tokenizers":
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>", "</s>"])
        start, processor = time.perf_counter(), time.process_time()
        tokenizer.train_from_iterator(texts, trainer)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        tokenizer.save(output)
    else:
        import sentencepiece

        start, processor = time.perf_counter(), time.process_time()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line for text in texts for line in text.split("\n") if line),
            model_prefix=output, vocab_size=vocab_size, model_type="bpe", byte_fallback=True, num_threads=threads, minloglevel=2)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
    print(json.dumps({"seconds": seconds, "processor_seconds": processor}))


def measure(command, threads, environment=None):
    """Seconds, processor seconds and megabytes of a process, and what it printed."""
    start = time.perf_counter()
    processors = ",".join(map(str, range(threads)))
    process = subprocess.Popen(["taskset", "-c", processors, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **(environment or {})})
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} failed")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output


def same_model(ours, theirs):
    ours, theirs = (json.load(open(path))["model"] for path in (ours, theirs))
    merges = [[tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]] for model in (ours, theirs)]
    return ours["vocab"] == theirs["vocab"] and merges[0] == merges[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    parser.add_argument("--tigerbot", default="build/tigerbot")
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--vocab-size", type=int, default=32000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--peer", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        name, texts, vocab_size, threads, output = options.peer
        return peer(name, texts, int(vocab_size), int(threads), output)
    work = pathlib.Path(tempfile.mkdtemp())
    texts, left = work / "texts.jsonl", options.megabytes * 1e6
    with open(texts, "w") as out:
        by_size = sorted(options.files, key=lambda file: file.stat().st_size)
        for number, file in enumerate(by_size):
            room = left / (len(by_size) - number)
            for row in open(file):
                text = json.loads(row)["text"]
                if room < len(text.encode()):
                    continue
                room -= len(text.encode())
                left -= len(text.encode())
                out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    print(f"{options.megabytes - left / 1e6:.1f} MB of text, {options.vocab_size:,} pieces", flush=True)
    results = {}

    def add(name, threads, *run):
        results.setdefault((name, threads), []).append(run)
        print(f"{name}, {threads} threads: {run[0]:.2f} s, {run[1]:.2f} processor seconds, {run[2]:.0f} MB", file=sys.stderr, flush=True)

    for _ in range(options.rounds):
        for threads in options.threads:
            shutil.rmtree(work / "ours", ignore_errors=True)
            command = [options.tigerbot, "tokenizer", "train", texts, "--output", work / "ours", "--vocab-size", options.vocab_size, "--special-token", "<s>", "--special-token", "</s>", "--threads", threads]
            seconds, processor, memory, _ = measure(command, threads)
            add("tigerbot", threads, seconds, processor, memory)
            for name in ("tokenizers", "sentencepiece"):
                command = [sys.executable, __file__, "--peer", name, texts, options.vocab_size, threads, work / name]
                environment = {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false"}
                _, _, memory, output = measure(command, threads, environment)
                times = json.loads(output)
                add(name, threads, times["seconds"], times["processor_seconds"], memory)
    print("pieces and merges are those of tokenizers:", same_model(work / "ours" / "tokenizer.json", work / "tokenizers"))
    print("\n| | threads | seconds (least to most) | processor seconds | MB |\n|---|---|---|---|---|")
    for (name, threads), runs in sorted(results.items(), key=lambda item: (item[0][1], item[0][0] != "tigerbot", item[0][0])):
        seconds = [run[0] for run in runs]
        print(f"| {name} | {threads} | {statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f}) | {statistics.median(run[1] for run in runs):.2f} | {statistics.median(run[2] for run in runs):.0f} |")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
