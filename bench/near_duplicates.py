#!/usr/bin/env python3
"""Near duplicates with known answers: quality and speed beside other programs.

    pip install rensa==0.5.0 text-dedup==0.4.0 datatrove==0.10.1 rapidfuzz
    bench/near_duplicates.py --corpus FOLDER --program build/bench/bench_dedup [--peers rensa,...]
                             [--datatrove-python OTHER/bin/python] [--simhash]

FOLDER has en.jsonl, zh.jsonl, zh-Hant.jsonl, ja.jsonl, ko.jsonl with a "text" each
(recipes/fetch_text.py makes it). Two sets are made from it, always the same:

edits   36,000 pieces of 0.15 to 3 KB and 3,600 of them once more under 1 to 5 random edits.
rates   in each language, pieces once more with 1% to 20% of their words (characters in Chinese and
        Japanese) inserted, deleted, replaced or swapped, or a share of their paragraphs dropped, or
        their paragraphs in another order.

A copy is found if it or its original goes for the sake of the other's cluster. A removal is wrong
if it goes for the sake of a text of another origin that is not like it: less than 0.7 of
rapidfuzz's ratio, by the texts as they are, by their letters and digits alone (the same table drawn
otherwise), and by the letters of their lines in sorted order (the same list in another order).
"""

import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import time
import unicodedata

LANGUAGES = ["en", "zh", "zh-Hant", "ja", "ko"]
WIDE = {"zh", "zh-Hant", "ja"}


def pieces_of(text, size, wide):
    """The text cut between paragraphs or lines into pieces of about `size` bytes."""
    piece, length = [], 0
    for line in text.split("\n"):
        piece.append(line)
        length += len(line.encode())
        if length >= size:
            yield "\n".join(piece).strip()
            piece, length = [], 0
    if piece:
        yield "\n".join(piece).strip()


def read_pieces(folder, rng, sizes=(300, 1000, 2000, 3000)):
    pieces = {}
    for language in LANGUAGES:
        seen, found = set(), []
        with open(os.path.join(folder, language + ".jsonl"), encoding="utf-8") as file:
            for row in file:
                text = json.loads(row)["text"]
                for piece in pieces_of(text, rng.choice(sizes), language in WIDE):
                    if len(piece.encode()) >= 150 and piece not in seen:
                        seen.add(piece)
                        found.append(piece)
        rng.shuffle(found)
        pieces[language] = found
    return pieces


def units_of(text, wide):
    if wide:
        return list(text)
    units = []
    for line in text.split("\n"):
        units.extend(word + " " for word in line.split(" "))
        if units:
            units[-1] = units[-1].rstrip(" ")
        units.append("\n")
    return units[:-1]


def edit_units(text, wide, count, vocabulary, rng, kinds=("insert", "delete", "substitute", "swap")):
    units = units_of(text, wide)
    for _ in range(count):
        kind = rng.choice(kinds)
        at = rng.randrange(len(units))
        while units[at] == "\n" and len(units) > 1:
            at = rng.randrange(len(units))
        other = rng.choice(vocabulary)
        if kind == "insert":
            units.insert(at, other)
        elif kind == "delete" and len(units) > 1:
            del units[at]
        elif kind == "substitute":
            units[at] = other
        elif at + 1 < len(units):
            units[at], units[at + 1] = units[at + 1], units[at]
    return "".join(units)


def random_edit(text, wide, vocabulary, rng):
    """One of the edits that make copies on the web: a word, a sentence or a line changed."""
    kind = rng.choice(["insert", "delete", "substitute", "swap", "sentence out", "line in", "line out"])
    if kind in ("insert", "delete", "substitute", "swap"):
        return edit_units(text, wide, 1, vocabulary, rng, (kind,))
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    if kind == "line in":
        extra = ("" if wide else " ").join(rng.choices(vocabulary, k=rng.randint(3, 12)))
        lines.insert(at, extra)
    elif kind == "line out" and len(lines) > 4:
        if len(lines[at]) < len(text) / 6:
            del lines[at]
    else:
        mark = "。" if wide else ". "
        sentences = lines[at].split(mark)
        if len(sentences) > 2 and max(map(len, sentences)) < len(text) / 6:
            del sentences[rng.randrange(len(sentences) - 1)]
            lines[at] = mark.join(sentences)
    return "\n".join(lines)


def edit_characters(text, rate, rng):
    units = list(text)
    letters = [c for c in units if c.isalnum()]
    return edit_units("".join(units), True, max(1, round(rate * len(units))), letters, rng)


def vocabulary_of(texts, wide, rng):
    sample = rng.sample(texts, min(400, len(texts)))
    words = [u for text in sample for u in units_of(text, wide) if u.strip()]
    return words


def make_edits(pieces, total, rng):
    """Rows of (language, origin, text, label)."""
    rows = []
    flat = [(language, piece) for language in LANGUAGES for piece in pieces[language]]
    rng.shuffle(flat)
    flat = flat[:total]
    for number, (language, piece) in enumerate(flat):
        rows.append((language, number, piece, "original"))
    vocabulary = {l: vocabulary_of(pieces[l], l in WIDE, rng) for l in LANGUAGES}
    for number in rng.sample(range(len(flat)), len(flat) // 10):
        language, piece = flat[number]
        count = rng.randint(1, 5)
        text = piece
        for _ in range(count):
            text = random_edit(text, language in WIDE, vocabulary[language], rng)
        if text != piece:
            rows.append((language, number, text, "%d edits" % count))
    rng.shuffle(rows)
    return rows


def make_rates(pieces, each, rng):
    rows, origin = [], 0
    for language in LANGUAGES:
        wide = language in WIDE
        vocabulary = vocabulary_of(pieces[language], wide, rng)
        pool = iter(pieces[language])
        labels = ["%d%%" % r for r in (1, 2, 5, 10, 15, 20)]
        labels += ["characters 5%", "characters 10%", "characters 20%", "paragraphs dropped 20%", "paragraphs reordered"]
        for label in labels:
            made = 0
            while made < each:
                piece = next(pool, None)
                if piece is None:
                    break
                rate = int(label.split()[-1].rstrip("%")) / 100 if "%" in label else 0
                lines = piece.split("\n")
                if label.startswith("paragraphs"):
                    if len(lines) < 5:
                        continue
                    if rate:
                        budget, left = rate * len(piece), lines[:]
                        for at in rng.sample(range(len(lines)), len(lines)):
                            if len(lines[at]) <= budget:
                                budget -= len(lines[at])
                                left[at] = None
                        lines = [line for line in left if line is not None]
                    else:
                        rng.shuffle(lines)
                    text = "\n".join(lines)
                elif label.startswith("characters"):
                    text = edit_characters(piece, rate, rng)
                else:
                    count = max(1, round(rate * len(units_of(piece, wide))))
                    text = edit_units(piece, wide, count, vocabulary, rng)
                if text == piece:
                    continue
                rows.append((language, origin, piece, "original"))
                rows.append((language, origin, text, label))
                origin += 1
                made += 1
        for piece in list(pool)[: each * 8]:
            rows.append((language, origin, piece, "original"))
            origin += 1
    rng.shuffle(rows)
    return rows


# What a program says: for each removed row the row that it is removed for.

def run_ours(program, rows, folder, threads):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder + "/in")
    parts = 12
    names, where = [], []
    for part in range(parts):
        name = "%s/in/%d.jsonl" % (folder, part)
        names.append(name)
        mine = range(part * len(rows) // parts, (part + 1) * len(rows) // parts)
        where.append(mine.start)
        with open(name, "w", encoding="utf-8") as file:
            for number in mine:
                file.write(json.dumps({"text": rows[number][2], "id": number}, ensure_ascii=False) + "\n")
    start = time.time()
    out = subprocess.run([program, "files", folder + "/out", str(threads)] + names, check=True, capture_output=True, text=True)
    seconds = time.time() - start
    removed = {}
    with open(folder + "/out/dropped.jsonl") as file:
        for line in file:
            d = json.loads(line)
            removed[where[d["file"]] + d["row"]] = where[d["kept_file"]] + d["kept_row"]
    return removed, seconds, json.loads(out.stdout)


def run_rensa(rows, folder, threshold=0.7, permutations=128):
    """rensa is a library: from a file of JSON lines to another one, as a script around it does."""
    import re
    from rensa import RMinHash, RMinHashLSH

    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(folder + "/in.jsonl", "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({"text": row[2]}, ensure_ascii=False) + "\n")
    start = time.time()
    with open(folder + "/in.jsonl", encoding="utf-8") as file:
        lines = file.readlines()
    texts = [json.loads(line)["text"] for line in lines]
    read = time.time() - start
    lsh = RMinHashLSH(threshold=threshold, num_perm=permutations, num_bands=16)
    hashes, removed = [], {}
    for number, text in enumerate(texts):
        words = re.findall(r"\w+", text.lower())
        shingles = [" ".join(words[k : k + 5]) for k in range(max(1, len(words) - 4))]
        minhash = RMinHash(num_perm=permutations, seed=42)
        minhash.update(shingles)
        hashes.append(minhash)
        best = None
        for other in lsh.query(minhash):
            if minhash.jaccard(hashes[other]) >= threshold:
                best = other
                break
        if best is not None:
            removed[number] = best
        else:
            lsh.insert(number, minhash)
    search = time.time() - start - read
    with open(folder + "/out.jsonl", "w", encoding="utf-8") as file:
        file.writelines(line for number, line in enumerate(lines) if number not in removed)
    return removed, time.time() - start, {"read": round(read, 2), "search": round(search, 2)}


def run_text_dedup(rows, folder, method, threads):
    """text-dedup's own program, from a file of JSON lines to a folder; times include its start."""
    import pickle

    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(folder + "/in.jsonl", "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({"text": row[2]}, ensure_ascii=False) + "\n")
    start = time.time()
    subprocess.run(
        [sys.executable, "-m", "text_dedup." + method, "--path", "json", "--data_files", folder + "/in.jsonl",
         "--split", "train", "--cache_dir", folder + "/cache", "--output", folder + "/out", "--column", "text",
         "--num_proc", str(threads), "--debug"],
        check=True, capture_output=True, cwd=folder)
    seconds = time.time() - start
    with open(folder + "/out/uf.pkl", "rb") as file:
        union = pickle.load(file)
    removed = {}
    for number in range(len(rows)):
        top = union.find(number)
        if top != number:
            removed[number] = top
    return removed, seconds, {}


DATATROVE = r"""
import json, sys
from datatrove.data import Document
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import (MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster,
                                              MinhashDedupFilter)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
folder, tasks, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def step(pipeline, tasks, name):
    LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=workers, logging_dir=f"{folder}/logs/{name}").run()

if __name__ == "__main__":
    config = MinhashConfig()  # 14 buckets of 8 hashes, 5-grams of words
    reader = JsonlReader(f"{folder}/in")
    step([reader, MinhashDedupSignature(f"{folder}/signatures", config=config)], tasks, "signatures")
    step([MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)], config.num_buckets, "buckets")
    step([MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config, save_cluster_id=True)], 1, "cluster")
    step([reader, MinhashDedupFilter(f"{folder}/remove", load_cluster_ids=True,
                                     exclusion_writer=JsonlWriter(f"{folder}/gone", compression=None)),
          JsonlWriter(f"{folder}/kept", compression=None)], tasks, "filter")
"""


def run_datatrove(rows, folder, threads, python):
    """datatrove's four MinHash steps as its example has them, from files to files. It says which
    documents go, not for which: a removed copy counts as found if its original is of its cluster,
    which datatrove writes into both."""
    import glob

    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder + "/in")
    for part in range(threads):
        with open("%s/in/%d.jsonl" % (folder, part), "w", encoding="utf-8") as file:
            for number in range(part, len(rows), threads):
                file.write(json.dumps({"text": rows[number][2], "id": str(number)}, ensure_ascii=False) + "\n")
    with open(folder + "/run.py", "w") as file:
        file.write(DATATROVE)
    start = time.time()
    subprocess.run([python, folder + "/run.py", folder, str(threads), str(threads)], check=True, capture_output=True)
    seconds = time.time() - start
    kept, gone = {}, []
    for where in ("kept", "gone"):
        for name in glob.glob(folder + "/" + where + "/**/*.jsonl", recursive=True):
            with open(name, encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    cluster = row.get("metadata", row).get("minhash_cluster_id", -1)
                    if where == "kept":
                        if cluster != -1:
                            kept[cluster] = int(row["id"])
                    else:
                        gone.append((int(row["id"]), cluster))
    return {number: kept[cluster] for number, cluster in gone if cluster in kept}, seconds, {"gone": len(gone)}


def simhash_table(program, rows, folder):
    """How often the simhashes of a copy and its original are near each other, by edits."""
    os.makedirs(folder, exist_ok=True)
    originals = {row[1]: row[2] for row in rows if row[3] == "original"}
    with open(folder + "/pairs.jsonl", "w", encoding="utf-8") as file:
        for _, origin, text, label in rows:
            if label != "original":
                file.write(json.dumps({"text": originals[origin], "other": text, "label": label}, ensure_ascii=False) + "\n")
    print(subprocess.run([program, "simhash", folder + "/pairs.jsonl"], check=True, capture_output=True, text=True).stdout)


def letters_of(text):
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def likeness(a, b):
    """The greatest of three ratios, 0 to 1, and the first, of the texts as they are."""
    from rapidfuzz.fuzz import ratio

    plain = ratio(a, b) / 100
    sorted_lines = ["".join(sorted(map(letters_of, text.split("\n")))) for text in (a, b)]
    return max(plain, ratio(letters_of(a), letters_of(b)) / 100, ratio(*sorted_lines) / 100), plain


def judge(rows, removed):

    def top(n):
        while n in removed and removed[n] != n:
            n = removed[n]
        return n

    by_origin = collections.defaultdict(list)
    for number, row in enumerate(rows):
        by_origin[row[1]].append(number)
    found, total = collections.Counter(), collections.Counter()
    for members in by_origin.values():
        if len(members) < 2:
            continue
        for number in members:
            language, _, _, label = rows[number]
            if label == "original":
                continue
            original = next(n for n in members if rows[n][3] == "original")
            total[label, language] += 1
            found[label, language] += top(number) == top(original)
    wrong, natural, unlike_as_written = [], 0, 0
    for number, kept in removed.items():
        if rows[number][1] == rows[top(number)][1]:
            continue
        # A copy of a text whose original went for the sake of a third is not this copy's fault.
        most, plain = likeness(rows[number][2], rows[top(number)][2])
        unlike_as_written += plain < 0.7
        if most >= 0.7:
            natural += 1
        else:
            wrong.append((most, number, top(number)))
    return found, total, (natural, unlike_as_written), sorted(wrong)


def show(name, rows, removed, seconds, details, verbose):
    found, total, natural, wrong = judge(rows, removed)
    print("\n%s: %.2f s, %.0f documents/s, %d removed, %d of them alike by nature, %d wrong "
          "(%d by the texts as they are)  %s" % (
              name, seconds, len(rows) / seconds, len(removed), natural[0], len(wrong), natural[1], details))
    labels = sorted({label for label, _ in total}, key=lambda l: (not l[0].isdigit(), len(l), l))
    print("%-24s %6s %6s | " % ("recall", "all", "CJ") + " ".join("%7s" % l for l in LANGUAGES))
    for label in labels + ["all"]:
        def share(languages):
            f = sum(found[l, g] for l, g in found if g in languages and label in (l, "all"))
            t = sum(total[l, g] for l, g in total if g in languages and label in (l, "all"))
            return "%.3f" % (f / t) if t else "-"
        print("%-24s %6s %6s | " % (label, share(LANGUAGES), share(WIDE)) + " ".join("%7s" % share([g]) for g in LANGUAGES))
    if verbose:
        for likeness, number, kept in wrong[:verbose]:
            print("  wrong %.2f\n   -- %s\n   -- %s" % (likeness, rows[number][2][:300].replace("\n", " / "), rows[kept][2][:300].replace("\n", " / ")))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--program", required=True, help="bench_dedup")
    parser.add_argument("--work", default="/tmp/near_duplicates")
    parser.add_argument("--peers", default="", help="of rensa, text-dedup-minhash, text-dedup-simhash, datatrove")
    parser.add_argument("--datatrove-python", default=sys.executable, help="an interpreter that has datatrove")
    parser.add_argument("--simhash", action="store_true", help="also what simhashes alone would find")
    parser.add_argument("--sets", default="edits,rates")
    parser.add_argument("--documents", type=int, default=36000)
    parser.add_argument("--piece-bytes", default="300,1000,2000,3000", help="lengths of the pieces")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--show-wrong", type=int, default=0)
    options = parser.parse_args()
    for name in options.sets.split(","):
        rng = random.Random(7)
        pieces = read_pieces(options.corpus, rng, [int(n) for n in options.piece_bytes.split(",")])
        rows = make_edits(pieces, options.documents, rng) if name == "edits" else make_rates(pieces, 120, rng)
        size = sum(len(row[2].encode()) for row in rows)
        print("== %s: %d documents, %.0f MB, by language %s" % (name, len(rows), size / 1e6, dict(collections.Counter(r[0] for r in rows))))
        show("tigerbot", rows, *run_ours(options.program, rows, options.work, options.threads), options.show_wrong)
        if options.simhash:
            simhash_table(options.program, rows, options.work)
        for peer in filter(None, options.peers.split(",")):
            if peer == "rensa":
                answer = run_rensa(rows, options.work + "/rensa")
            elif peer == "datatrove":
                answer = run_datatrove(rows, options.work + "/datatrove", options.threads, options.datatrove_python)
            else:
                answer = run_text_dedup(rows, options.work + "/peer", peer.removeprefix("text-dedup-"), options.threads)
            show(peer, rows, *answer, options.show_wrong)


if __name__ == "__main__":
    main()
