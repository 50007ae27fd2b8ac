"""Main content of HTML pages: ours beside trafilatura, readability and resiliparse, on one thread.

    pip install trafilatura readability-lxml "lxml[html_clean]" resiliparse
    ninja -C build bench_readers
    python bench/html_pages.py build/bench/bench_readers FILE.html...

Prints MB in a CPU second of each, and how alike the texts are: for every page the words (characters in Chinese and
Japanese) that ours and a peer's share, as a share of ours and of the peer's.
"""

import collections
import re
import resource
import subprocess
import sys
import time

import readability
import trafilatura
from lxml import html as lxml_html
from resiliparse.extract.html2text import extract_plain_text

TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def read_with_readability(page):
    return lxml_html.fromstring(readability.Document(page).summary()).text_content()


PEERS = {
    "trafilatura": lambda page: trafilatura.extract(page, include_tables=True, include_comments=False) or "",
    "readability": read_with_readability,
    "resiliparse": lambda page: extract_plain_text(page, main_content=True, links=False),
}


def ours(program, files):
    """Text of each file, and the seconds that reading all of them takes."""
    texts, current = {}, None
    printed = subprocess.run([program, "--print", "--format", "html", *files], capture_output=True, text=True, check=True)
    for line in printed.stdout.split("\n"):
        if line.startswith("=== "):
            current = line[4:].split(" 0 at 0 ")[0]
            texts[current] = []
        elif current:
            texts[current].append(line)
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, "--repeat", "10", "--format", "html", *files], capture_output=True, check=True)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = (end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime) / 10
    return {name: "\n".join(lines) for name, lines in texts.items()}, seconds


def shared(a, b):
    left, right = collections.Counter(TOKEN.findall(a)), collections.Counter(TOKEN.findall(b))
    common = sum((left & right).values())
    return common, sum(left.values()), sum(right.values())


def main():
    program, files = sys.argv[1], sys.argv[2:]
    pages = {name: open(name, encoding="utf-8", errors="replace").read() for name in files}
    size = sum(len(page.encode()) for page in pages.values())
    texts, seconds = ours(program, files)
    print(f"{len(files)} pages, {size / 1e6:.1f} MB")
    print(f"tigerbot: {size / 1e6 / seconds:.1f} MB/s")
    for name, extract in PEERS.items():
        begin, common, mine, theirs = time.process_time(), 0, 0, 0
        extracted = {}
        for file, page in pages.items():
            try:
                extracted[file] = extract(page)
            except Exception:  # a peer that fails on a page has no text for it
                extracted[file] = ""
        seconds = time.process_time() - begin
        for file in files:
            c, m, t = shared(texts.get(file, ""), extracted[file])
            common, mine, theirs = common + c, mine + m, theirs + t
        print(f"{name}: {size / 1e6 / seconds:.2f} MB/s; {common / max(1, mine):.3f} of our words are in its "
              f"text, {common / max(1, theirs):.3f} of its words in ours")


if __name__ == "__main__":
    main()
