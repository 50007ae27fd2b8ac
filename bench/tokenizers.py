"""Encodes one multilingual corpus with our tokenizer and its peers: MB/s, and whether ids agree.

    python bench/tokenizers.py --driver BUILD/bench/bench_tokenizer TOKENIZER_JSON \
        --text NAME=DIR ... [--megabytes 48] [--rounds 3] [--threads 1 2] [--peers tokenizers ...]

Each peer encodes the corpus once in a fresh process, so that no cache has seen the text; rounds are
interleaved and the best one counts. Threads are pinned with taskset. CPU seconds are given too, for
machines that are busy with something else. The corpus takes the same share
of every DIR (as far as it has text), in documents of about 8 kB, shuffled with a fixed seed. Prints
a Markdown table. Peers that are not installed or refuse the tokenizer are left out with their words.
"""

import argparse
import array
import gzip
import hashlib
import html
import json
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import time

# This file has the name of a peer.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != pathlib.Path(__file__).resolve().parent]

PEERS = ("tokenizers", "tiktoken", "fastokens", "kitoken", "splintr", "tokie", "gigatoken")
DOCUMENT = 8_000


def documents_of(folder, limit):
    seen, total = set(), 0
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        try:
            data = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
            text = data.decode("utf-8")
        except (OSError, EOFError, UnicodeDecodeError):
            continue
        if "\0" in text:
            continue
        if path.suffix in (".html", ".htm", ".xhtml"):
            text = html.unescape(re.sub(r"<[^>]*>", "", text))
        for start in range(0, len(text), DOCUMENT // 2):
            document = text[start : start + DOCUMENT // 2]
            digest = hashlib.md5(document.encode()).digest()
            if len(document) < 200 or digest in seen:
                continue
            seen.add(digest)
            total += len(document.encode())
            yield document.encode()
            if total >= limit:
                return


def build_corpus(sources, size):
    documents = []
    for number, (_, folder) in enumerate(sources):
        left = size - sum(map(len, documents))
        documents += documents_of(folder, left // (len(sources) - number))
    random.Random(0).shuffle(documents)
    return documents


def tiktoken_encoding(path):
    import tiktoken

    model = json.load(open(path))["model"]
    alphabet = byte_alphabet()
    ranks, special = {}, {}
    for piece, number in model["vocab"].items():
        if all(c in alphabet for c in piece):
            ranks[bytes(alphabet[c] for c in piece)] = number
    for token in json.load(open(path))["added_tokens"]:
        special[token["content"]] = token["id"]
        ranks.pop(token["content"].encode(), None)
    contraction, rest = r"'(?:s|t|re|ve|m|ll|d)", r" ?\p{L}+|{}| ?[^\s\p{L}\p{N}]+|{}\s+(?!\S)|\s+"
    digits = "individual_digits\": true" in json.dumps(json.load(open(path))["pre_tokenizer"])
    numbers, spaces = (r"\p{N}", r"\s+(?=\p{N})|") if digits else (r" ?\p{N}+", "")
    pattern = contraction + "|" + rest.replace("{}", numbers, 1).replace("{}", spaces, 1)
    return tiktoken.Encoding("bench", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)


def byte_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(b): b for b in printable}
    for number, b in enumerate(b for b in range(256) if b not in printable):
        table[chr(256 + number)] = b
    return table


def from_flat(ids, offsets):
    ids, offsets = array.array("I", ids), array.array("Q", offsets)
    return [ids[a:b] for a, b in zip(offsets, offsets[1:])]


def from_counts(ids, counts):
    ids, at, out = ids.tolist(), 0, []
    for count in counts.tolist():
        out.append(ids[at : at + count])
        at += count
    return out


def peer_encoder(name, path, threads):
    """A function from a list of texts to what the peer gives in its fastest form, and one from that
    to a list of lists of ids."""
    if name == "tokenizers":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(path)
        return tokenizer.encode_batch_fast, lambda out: [e.ids for e in out]
    if name == "tiktoken":
        encoding = tiktoken_encoding(path)
        return lambda texts: encoding.encode_batch(texts, num_threads=threads, allowed_special="all"), list
    if name == "fastokens":
        import fastokens

        return fastokens.Tokenizer.from_file(path).encode_batch_flat, lambda out: from_flat(*out)
    if name == "kitoken":
        from kitoken import Kitoken

        encoder = Kitoken.from_tokenizers_file(path)
        return lambda texts: encoder.encode_all(texts, True), list
    if name == "splintr":
        import splintr

        return splintr.from_json(path).encode_batch_flat, lambda out: from_flat(*out)
    if name == "tokie":
        import tokie

        return tokie.Tokenizer.from_json(path).encode_batch_flat, lambda out: from_counts(*out)
    if name == "gigatoken":
        import gigatoken

        return gigatoken.Tokenizer(path).encode_batch, list
    raise SystemExit(f"unknown peer {name}")


def run_peer(name, path, packed, threads, ids_file):
    """In its own process: encodes the corpus once and prints seconds."""
    data = pathlib.Path(packed).read_bytes()
    texts, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        texts.append(data[at + 4 : at + 4 + size].decode())
        at += 4 + size
    encode, to_lists = peer_encoder(name, path, threads)
    encode(["warm up the code, not a cache"])
    begin, cpu_begin = time.perf_counter(), time.process_time()
    out = encode(texts)
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu_begin
    ids = to_lists(out)
    with open(ids_file, "wb") as out:
        for one in ids:
            out.write(array.array("i", [len(one), *one]).tobytes())
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds}))


def count_differences(ours, theirs):
    a, b = (array.array("i", pathlib.Path(p).read_bytes()) for p in (ours, theirs))
    differing, i, j = 0, 0, 0
    while i < len(a) and j < len(b):
        differing += a[i : i + 1 + a[i]] != b[j : j + 1 + b[j]]
        i, j = i + 1 + a[i], j + 1 + b[j]
    return differing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer")
    parser.add_argument("--driver", required=True)
    parser.add_argument("--text", nargs="+", required=True, metavar="NAME=DIR")
    parser.add_argument("--megabytes", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--peers", nargs="*", default=PEERS)
    parser.add_argument("--save-corpus", metavar="FILE", help="write the packed corpus and stop")
    arguments = parser.parse_args()
    sources = [tuple(item.split("=", 1)) for item in arguments.text]
    documents = build_corpus(sources, arguments.megabytes * 1_000_000)
    total = sum(map(len, documents))
    packed_bytes = b"".join(struct.pack("<I", len(d)) + d for d in documents)
    if arguments.save_corpus:
        pathlib.Path(arguments.save_corpus).write_bytes(packed_bytes)
        return
    with tempfile.TemporaryDirectory() as folder:
        packed = os.path.join(folder, "corpus")
        pathlib.Path(packed).write_bytes(packed_bytes)
        del packed_bytes
        names = ["TigerBot", *arguments.peers]
        best, differences, refused = {}, {}, {}
        for _ in range(arguments.rounds):
            for threads in arguments.threads:
                for name in names:
                    if name in refused:
                        continue
                    ids = os.path.join(folder, name)
                    pin = ["taskset", "-c", ",".join(map(str, range(threads)))]
                    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
                    command = (
                        [arguments.driver, "--threads", str(threads), "--ids", ids, arguments.tokenizer, packed]
                        if name == "TigerBot"
                        else [sys.executable, __file__, "--run-peer", name, arguments.tokenizer, packed, str(threads), ids]
                    )
                    done = subprocess.run(pin + command, env=environment, capture_output=True, text=True)
                    if done.returncode != 0:
                        refused[name] = (done.stderr.strip().splitlines() or ["failed"])[-1][:160]
                        continue
                    measured = json.loads(done.stdout.strip().splitlines()[-1])
                    for kind in ("seconds", "cpu_seconds"):
                        rate = total / 1e6 / measured[kind]
                        best[name, threads, kind] = max(best.get((name, threads, kind), 0), rate)
                    if name not in differences:
                        differences[name] = count_differences(os.path.join(folder, "TigerBot"), ids)
        print(f"{total / 1e6:.1f} MB, {len(documents)} documents ({', '.join(name for name, _ in sources)})\n")
        columns = [(t, kind) for kind in ("seconds", "cpu_seconds") for t in arguments.threads]
        titles = [f"{'MB/s' if kind == 'seconds' else 'MB per CPU second'}, {t} thread{'s' if t > 1 else ''}" for t, kind in columns]
        print("| encoder | " + " | ".join(titles) + " | documents that differ |")
        print("|---|" + "---|" * (len(columns) + 1))
        for name in names:
            if name in refused:
                print(f"| {name} | " + "| " * len(columns) + f"| refused: {refused[name]} |")
            else:
                rates = " | ".join(f"{best[name, t, kind]:.1f}" for t, kind in columns)
                print(f"| {name} | {rates} | {differences[name]} |")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--run-peer":
        run_peer(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), sys.argv[6])
    else:
        main()
