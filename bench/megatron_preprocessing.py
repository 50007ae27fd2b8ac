"""`tigerbot data tokenize` beside Megatron-LM's preprocessing: the same files, tokenizer and cores.

    python3 -m venv venv && venv/bin/pip install torch numpy transformers && venv/bin/pip install --no-deps megatron-core==0.16.1
    venv/bin/python bench/megatron_preprocessing.py --tigerbot build/tigerbot --tokenizer FOLDER CORPUS/*.jsonl --rounds 3

Megatron's side is the work of its tools/preprocess_data.py (the wheel megatron-core has the library
and not the tools): a pool of processes parses rows and runs transformers' fast tokenizer on each
text, the parent appends documents to megatron.core's own IndexedDatasetBuilder. Both append the
end-of-document token and take special tokens in the text as such; the files must be equal. Runs in turns; processor time is that
of the whole process group. Prints Markdown.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

# A script beside this one has the name of a peer.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != pathlib.Path(__file__).resolve().parent]
warnings.filterwarnings("ignore")
os.environ["TOKENIZERS_PARALLELISM"] = "false"


class Encoder:
    tokenizer = None

    def __init__(self, folder, eod):
        self.folder, self.eod = folder, eod

    def start(self):
        from transformers import AutoTokenizer

        Encoder.tokenizer = AutoTokenizer.from_pretrained(self.folder)

    def encode(self, line):
        ids = Encoder.tokenizer(json.loads(line)["text"], add_special_tokens=False).input_ids
        return (ids + [self.eod] if ids else ids), len(line)


def megatron(options):
    """What `--megatron` does in a process of its own."""
    import numpy
    import torch
    from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder

    encoder = Encoder(options.tokenizer, options.eod)
    builder = IndexedDatasetBuilder(options.output + ".bin", dtype=numpy.dtype(options.dtype).type)
    with multiprocessing.Pool(options.workers, initializer=encoder.start) as pool:
        for file in options.files:
            with open(file, encoding="utf-8") as rows:
                for ids, _ in pool.imap(encoder.encode, rows, 32):
                    if ids:
                        builder.add_document(torch.IntTensor(ids), [len(ids)])
    builder.finalize(options.output + ".idx")


def timed(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.time()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.time() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--tigerbot", default="build/tigerbot")
    parser.add_argument("--tokenizer", required=True, help="a folder with tokenizer.json and tokenizer_config.json")
    parser.add_argument("--eod", type=int, default=None, help="id of the end-of-document token (default: the tokenizer's)")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megatron", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.megatron:
        megatron(options)
        return
    if options.eod is None:
        from transformers import AutoTokenizer

        options.eod = AutoTokenizer.from_pretrained(options.tokenizer).eos_token_id
    with tempfile.TemporaryDirectory() as work:
        ours, theirs = work + "/ours", work + "/theirs"
        piece = json.load(open(pathlib.Path(options.tokenizer) / "tokenizer.json"))
        names = {number: text for text, number in piece["model"]["vocab"].items()} | {token["id"]: token["content"] for token in piece["added_tokens"]}
        tigerbot = [options.tigerbot, "data", "tokenize", *options.files, "--tokenizer", options.tokenizer, "--output", ours, "--parse-special-tokens", "--append-eod", "--eod-token", names[options.eod], "--threads", options.workers, "--overwrite"]
        times = {"Megatron's preprocessing": [], "tigerbot": []}
        for _ in range(options.rounds):
            times["tigerbot"].append(timed(tigerbot))
            dtype = "uint16" if json.load(open(ours + ".json"))["tokenizer"]["vocabulary_size"] < 65536 else "int32"
            times["Megatron's preprocessing"].append(timed([sys.executable, __file__, *options.files, "--megatron", "--tokenizer", options.tokenizer, "--eod", options.eod, "--workers", options.workers, "--output", theirs, "--dtype", dtype]))
        tokens = os.path.getsize(ours + ".bin") // (2 if dtype == "uint16" else 4)
        same = all(open(ours + end, "rb").read() == open(theirs + end, "rb").read() for end in (".bin", ".idx"))
        print(f"{sum(file.stat().st_size for file in options.files) / 1e6:.1f} MB, {tokens:,} tokens, {options.workers} threads or processes; files are {'equal byte for byte' if same else 'DIFFERENT'}\n")
        print("| | seconds | processor seconds | tokens/s |\n|---|---|---|---|")
        for name, runs in times.items():
            seconds = statistics.median(wall for wall, _ in runs)
            print(f"| {name} | {seconds:.2f} ({min(runs)[0]:.2f} to {max(runs)[0]:.2f}) | {statistics.median(cpu for _, cpu in runs):.2f} | {tokens / seconds:,.0f} |")
        medians = [statistics.median(column) for column in zip(*times["Megatron's preprocessing"])], [statistics.median(column) for column in zip(*times["tigerbot"])]
        print(f"\ntigerbot is {medians[0][0] / medians[1][0]:.1f} times as fast by the clock, {medians[0][1] / medians[1][1]:.1f} times in processor time")
        sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
