"""Compares our ids with those of `tokenizers` on a large corpus and on adversarial strings.

    python tests/golden/compare_tokenizers.py --driver BUILD/bench/bench_tokenizer \
        [--text DIR ...] [--megabytes 24] TOKENIZER_JSON ...

The corpus is what lies under --text (documentation, manual pages and other text files of the
machine by default) and generated text in fourteen scripts. Prints a line a tokenizer and exits 1 if
any document differs.
"""

import argparse
import array
import gzip
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer

SCRIPTS = {
    "latin": [(0x61, 0x7A)] * 8 + [(0x41, 0x5A), (0xC0, 0x17F)],
    "greek": [(0x391, 0x3C9)],
    "cyrillic": [(0x410, 0x44F)],
    "hebrew": [(0x5D0, 0x5EA)],
    "arabic": [(0x621, 0x64A), (0x64B, 0x652)],
    "devanagari": [(0x904, 0x939), (0x93A, 0x94F)],
    "bengali": [(0x985, 0x9CD)],
    "tamil": [(0xB83, 0xBCD)],
    "thai": [(0xE01, 0xE3A), (0xE40, 0xE4E)],
    "georgian": [(0x10D0, 0x10FA)],
    "han": [(0x4E00, 0x9FA5)],
    "kana": [(0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x5FFF)],
    "hangul": [(0xAC00, 0xD7A3)],
    "emoji": [(0x1F300, 0x1F64F), (0x1F900, 0x1F9FF), (0x2600, 0x27BF)],
}
SPACES = " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2000\u2003\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"


def generated(script, size, rng):
    """Words of a script with Zipf-like repetition, between spaces, numbers and punctuation."""
    ranges = SCRIPTS[script]
    words = []
    for _ in range(3000):
        low, high = rng.choice(ranges)
        words.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 9))))
    out, total = [], 0
    while total < size:
        word = words[min(int(rng.paretovariate(0.7)) - 1, len(words) - 1)]
        tail = rng.choice([" ", " ", " ", " ", ", ", ". ", "\n", "\n\n", "  ", "", "、", "。", "!", f" {rng.randint(0, 99999)} ", "'s ", "'LL ", "-", "\r\n", "\t"])
        out.append(word + tail)
        total += len(word.encode()) + len(tail)
    return "".join(out)


def adversarial(rng):
    """Bytes that try every corner: spaces, controls, emoji sequences, invalid UTF-8, long words."""
    yield b""
    for space in SPACES:
        for count in (1, 2, 3):
            for before, after in (("", ""), ("a", "b"), ("1", "2"), ("", "a"), (".", "!"), ("中", "文")):
                yield (before + space * count + after).encode()
                yield (before + space * count + " " + after).encode()
                yield (before + " " + space * count + after).encode()
    yield "".join(map(chr, range(0x20))).encode()
    yield "".join(chr(c) + " " for c in range(0x7F, 0x300)).encode()
    for emoji in ("👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "1️⃣", "🧑🏿‍🚀", "☠️", "e\u0301\u0302\u0303" * 50, "\u200d" * 9):
        yield (emoji * 3 + " " + emoji + "x").encode()
    for invalid in (b"\xff", b"\xc3", b"a\xc3(", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xed\xa0\xbd\xed\xb8\x80", b"ok \x80\x81 ok", b"\xe0\x80\xafx", b"\xf8\x88\x80\x80\x80"):
        yield invalid
        yield b"a " + invalid + b" b" + invalid + b"\n"
    for contraction in ("I'm you're he'll we'd they've it's don't", "I'M YOU'RE HE'LL IT'S 'ſ ''s 's's' '", "'S'T'Re'vE'lL'd x'sx"):
        yield contraction.encode()
    for word in ("a", "ab", "é", "中", "аб", "1", "!", " ", "\n", "x\u0301", "=-", "😀", "<|", "th"):
        yield (word * (100_000 // len(word.encode()))).encode()
    yield "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(100_000)).encode()
    yield "".join(chr(rng.randint(0x4E00, 0x9FA5)) for _ in range(33_000)).encode()
    for text in ("<|endoftext|>", "<|im_start|>user\nhi<|im_end|>\n", " <|endoftext|> ", "<|end<|endoftext|>oftext|>", "[CLS] a [MASK] b [SEP]", "<s>x</s><unk>", "a[MASK]b", "<|endoftext|" * 30, "<repo_name>x<file_sep>y"):
        yield text.encode()
    everything = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for start in range(0, len(everything), 4096):
        yield "".join(chr(c) for c in everything[start : start + 4096]).encode()
    for start in range(0, 0x20000, 2048):
        yield "".join(f"a{chr(c)}1{chr(c)} {chr(c)}." for c in range(start, start + 2048) if not 0xD800 <= c < 0xE000).encode()
    assigned = [c for c in everything if c < 0x32000]
    for _ in range(4000):
        pool = rng.choice((SPACES + "ab1.'", "".join(chr(rng.choice(assigned)) for _ in range(12)), "ab 1'\n.éß中文の가😀", "0123456789 \n.,"))
        yield "".join(rng.choice(pool) for _ in range(rng.randint(1, 40))).encode()
    for _ in range(2000):
        yield bytes(rng.choice(b"ab \xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\xff") for _ in range(rng.randint(1, 30)))


def files(folders, limit):
    """Text files under the folders, cut into documents, up to `limit` bytes in all."""
    total = 0
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if not path.is_file() or path.suffix in (".png", ".jpg", ".bin", ".so"):
                continue
            try:
                data = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
            except (OSError, EOFError):
                continue
            if b"\0" in data[:4096]:
                continue
            for start in range(0, min(len(data), 400_000), 20_000):
                yield data[start : start + 20_000]
            total += min(len(data), 400_000)
            if total > limit:
                return


def corpus(folders, size, seed):
    rng = random.Random(seed)
    documents = list(adversarial(rng))
    documents += files(folders, size // 2)
    each = size // 2 // len(SCRIPTS)
    for script in SCRIPTS:
        for _ in range(max(each // 20_000, 1)):
            documents.append(generated(script, 20_000, rng).encode())
    return documents


def first_difference(ours, theirs):
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            return i
    return min(len(ours), len(theirs))


def compare(path, driver, documents, packed, threads):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([driver, "--ids", out.name, "--threads", str(threads), path, packed], check=True, stdout=subprocess.DEVNULL)
        ids = array.array("i", out.read())
    at, differing = 0, 0
    for start in range(0, len(documents), 256):
        block = [d.decode("utf-8", "replace") for d in documents[start : start + 256]]
        for number, theirs in enumerate(tokenizer.encode_batch(block), start):
            ours = ids[at + 1 : at + 1 + ids[at]].tolist()
            at += 1 + ids[at]
            if ours != theirs.ids:
                differing += 1
                if differing <= 5:
                    i = first_difference(ours, theirs.ids)
                    print(f"  document {number} {documents[number][:60]!r}: at {i} ours {ours[i:i+6]} theirs {theirs.ids[i:i+6]} {theirs.tokens[i:i+6]}")
    return differing


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokenizers", nargs="+")
    parser.add_argument("--driver", required=True)
    parser.add_argument("--text", nargs="*", default=["/usr/share/doc", "/usr/share/man", "/usr/share/perl"])
    parser.add_argument("--megabytes", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    documents = corpus(arguments.text, arguments.megabytes * 1_000_000, arguments.seed)
    total = sum(map(len, documents))
    failed = False
    with tempfile.NamedTemporaryFile() as packed:
        for document in documents:
            packed.write(struct.pack("<I", len(document)) + document)
        packed.flush()
        for path in arguments.tokenizers:
            differing = compare(path, arguments.driver, documents, packed.name, arguments.threads)
            print(f"{path}: {len(documents)} documents, {total / 1e6:.1f} MB, {differing} differ", flush=True)
            failed = failed or differing > 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
