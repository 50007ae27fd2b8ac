"""Writes src/tokenizer/unicode_classes.inc: asks `tokenizers` what each code point is.

    python tests/golden/unicode_classes.py [--check]

Takes about a minute. With --check it only says whether the file is up to date.
"""

import argparse
import pathlib
import sys

from tokenizers import Regex
from tokenizers import pre_tokenizers as parts

FILE = pathlib.Path(__file__).resolve().parents[2] / "src/tokenizer/unicode_classes.inc"
CATEGORIES = (
    "Lu Ll Lt Lm Lo Nd Nl No Mn Mc Me Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
)
NONCHARACTER = chr(0x10FFFF)


def code_points():
    return (c for c in range(0x110000) if not 0xD800 <= c < 0xE000)


def members(part, before, after, count):
    """Code points that, between two strings, make `part` give `count` pieces."""
    return {
        c for c in code_points() if len(part.pre_tokenize_str(before + chr(c) + after)) == count
    }


def table():
    category = [0] * 0x110000
    for number, name in enumerate(CATEGORIES, 1):
        part = parts.Split(Regex(r"\p{%s}" % name), "isolated")
        for c in members(part, "", NONCHARACTER, 2):
            category[c] = number
    extra = [0] * 0x110000
    for bit, found in [
        (1, members(parts.Split(Regex(r"\s"), "isolated"), "\x01", "\x01", 3)),
        (2, members(parts.Digits(individual_digits=True), "\x01", "\x01", 3)),
        (4, members(parts.Punctuation(), "\x01", "\x01", 3)),
        (8, members(parts.Whitespace(), "a", "a", 1)),
    ]:
        for c in found:
            extra[c] |= bit
    lines, last = [], None
    for c, value in enumerate(zip(category, extra)):
        if value != last:
            lines.append("{0x%x,%d,%d}," % (c, *value))
            last = value
    text = "// Written by tests/golden/unicode_classes.py. clang-format off\n"
    row = ""
    for line in lines:
        if len(row) + len(line) > 100:
            text += row + "\n"
            row = ""
        row += line
    return text + row + "\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    text = table()
    if arguments.parse_args().check:
        sys.exit(0 if FILE.read_text() == text else "unicode_classes.inc is out of date")
    FILE.write_text(text)


if __name__ == "__main__":
    main()
