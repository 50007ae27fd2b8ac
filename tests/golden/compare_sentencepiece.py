"""Compares our ids with those of `sentencepiece` on a large corpus and on adversarial strings, and both speeds.

    python tests/golden/compare_sentencepiece.py --driver BUILD/bench/bench_tokenizer \
        [--text DIR ...] [--megabytes 24] [--threads 1] SENTENCEPIECE_MODEL ...

The corpus is that of compare_tokenizers.py. Prints a line a model and exits 1 if any document
differs. Speeds are megabytes a second of processor time.
"""

import argparse
import array
import json
import struct
import subprocess
import sys
import tempfile
import time

import sentencepiece

from compare_tokenizers import corpus, first_difference


def compare(path, driver, documents, packed, threads):
    processor = sentencepiece.SentencePieceProcessor(model_file=path)
    with tempfile.NamedTemporaryFile() as out:
        run = subprocess.run([driver, "--ids", out.name, "--threads", str(threads), path, packed], check=True, stdout=subprocess.PIPE)
        ids = array.array("i", out.read())
    seconds = json.loads(run.stdout.splitlines()[0])["cpu_seconds"]
    at, differing, peer_seconds = 0, 0, 0.0
    for number, document in enumerate(documents):
        ours = ids[at + 1 : at + 1 + ids[at]].tolist()
        at += 1 + ids[at]
        begin = time.process_time()
        theirs = processor.encode(document)
        peer_seconds += time.process_time() - begin
        if ours != theirs:
            differing += 1
            if differing <= 5:
                i = first_difference(ours, theirs)
                print(f"  document {number} {document[:60]!r}: at {i} ours {ours[i:i+6]} theirs {theirs[i:i+6]}")
    return differing, seconds, peer_seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--driver", required=True)
    parser.add_argument("--text", nargs="*", default=["/usr/share/doc", "/usr/share/man", "/usr/share/perl"])
    parser.add_argument("--megabytes", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    # `sentencepiece` takes no NUL inside a text.
    documents = [d.replace(b"\0", b"") for d in corpus(arguments.text, arguments.megabytes * 1_000_000, arguments.seed)]
    size = sum(map(len, documents)) / 1e6
    failed = False
    with tempfile.NamedTemporaryFile() as packed:
        for document in documents:
            packed.write(struct.pack("<I", len(document)) + document)
        packed.flush()
        for path in arguments.models:
            differing, seconds, peer_seconds = compare(path, arguments.driver, documents, packed.name, arguments.threads)
            print(f"{path}: {len(documents)} documents, {size:.1f} MB, {differing} differ; ours {size / seconds:.1f} MB/s, sentencepiece {size / peer_seconds:.1f} MB/s", flush=True)
            failed = failed or differing > 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
