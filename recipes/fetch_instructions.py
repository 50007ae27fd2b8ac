#!/usr/bin/env python3
"""Makes real instruction rows in English, Chinese (both scripts), Japanese and Korean out of what
Debian publishes: nothing in them was made by a model or written for the purpose but the questions'
frames.

    recipes/fetch_instructions.py --out DIR
    recipes/fetch_instructions.py --out DIR --own rows.jsonl    a file of your own among them
    recipes/fetch_instructions.py --out DIR --exclude held-out.jsonl    no row that shares text with it

| kind | a row | from |
|---|---|---|
| faq | a question, its answer | the Debian FAQ, in five languages |
| manual | what a command or function does | manual pages: name line and description |
| help | what a page of the help is about | LibreOffice's help: title and first paragraphs |
| translation | a description, translated | the archive's package descriptions and their translations |
| own | as they are | the file that --own names |

Writes train.jsonl and held-out.jsonl (one row in twenty, by a hash of the instruction; rows of
instruction, output, language, kind, package, licence), manifest.json and report.html (how many rows
of each, from where, under which licence), licences/PACKAGE.txt. At most --limit rows of a kind in a
language. The same packages give the same bytes. Packages come as fetch_text.py fetches them, and lie
in the same cache; descriptions come with `apt-get update` into a folder of the cache. Needs apt,
dpkg-deb and Python 3.9 or newer, and no root.
"""

import argparse
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import fetch_text
from fetch_text import cache_folder, die, flow, is_plausible, language_of, package_record, say

FAQ = ["debian-faq", "debian-faq-zh-cn", "debian-faq-ja", "debian-faq-ko"]
MANUALS = ["manpages", "manpages-dev", "manpages-zh", "manpages-ja", "manpages-ja-dev"]
HELP = ["libreoffice-help-en-us", "libreoffice-help-zh-cn", "libreoffice-help-zh-tw",
        "libreoffice-help-ja", "libreoffice-help-ko"]
LANGUAGES = ["en", "zh", "zh-Hant", "ja", "ko"]
TRANSLATIONS = {"zh_CN": "zh", "zh_TW": "zh-Hant", "ja": "ja", "ko": "ko"}

COMMAND_QUESTIONS = {
    "en": ["What does the command {0} do?", "What is the {0} command for?"],
    "zh": ["命令 {0} 是做什么的？", "{0} 命令有什么用？"],
    "zh-Hant": ["命令 {0} 是做什麼的？", "{0} 命令有什麼用？"],
    "ja": ["{0} コマンドは何をしますか？", "コマンド {0} について説明してください。"],
    "ko": ["{0} 명령은 무엇을 하나요?", "명령 {0}에 대해 설명해 주세요."],
}
FUNCTION_QUESTIONS = {
    "en": ["What does the C function {0} do?"],
    "zh": ["C 函数 {0} 的作用是什么？"],
    "zh-Hant": ["C 函式 {0} 的作用是什麼？"],
    "ja": ["C の関数 {0} は何をしますか？"],
    "ko": ["C 함수 {0}은 무엇을 하나요?"],
}
HELP_QUESTIONS = {
    "en": ["Explain “{0}” in LibreOffice.", "In LibreOffice, what is “{0}”?"],
    "zh": ["请说明 LibreOffice 中的“{0}”。", "LibreOffice 里的“{0}”是什么？"],
    "zh-Hant": ["請說明 LibreOffice 中的「{0}」。", "LibreOffice 裡的「{0}」是什麼？"],
    "ja": ["LibreOffice の「{0}」について説明してください。", "LibreOffice の「{0}」とは何ですか？"],
    "ko": ["LibreOffice의 “{0}”에 대해 설명해 주세요.", "LibreOffice에서 “{0}”이란 무엇인가요?"],
}
FROM_ENGLISH = {
    "zh": ["Translate into Chinese:\n\n{0}", "把下面的英文翻译成中文：\n\n{0}"],
    "zh-Hant": ["Translate into Traditional Chinese:\n\n{0}", "把下面的英文翻譯成繁體中文：\n\n{0}"],
    "ja": ["Translate into Japanese:\n\n{0}", "次の英文を日本語に訳してください。\n\n{0}"],
    "ko": ["Translate into Korean:\n\n{0}", "다음 영어를 한국어로 번역해 주세요.\n\n{0}"],
}
TO_ENGLISH = {
    "zh": ["Translate into English:\n\n{0}", "把下面的中文翻译成英文：\n\n{0}"],
    "zh-Hant": ["Translate into English:\n\n{0}", "把下面的中文翻譯成英文：\n\n{0}"],
    "ja": ["Translate into English:\n\n{0}", "次の日本語を英語に訳してください。\n\n{0}"],
    "ko": ["Translate into English:\n\n{0}", "다음 한국어를 영어로 번역해 주세요.\n\n{0}"],
}
DESCRIPTION_HEADINGS = re.compile(r"(DESCRIPTION|描述|说明|說明|説明|설명)", re.I)
ANSWER_LENGTH = {"en": 900, "zh": 400, "zh-Hant": 400, "ja": 450, "ko": 450}  # characters, about


def number_of(text):
    """A number that depends on the text alone."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def choose(frames, text):
    return frames[number_of(text) % len(frames)].format(text)


def answer_of(language, paragraphs):
    """The first paragraphs, whole ones, up to about the length of an answer; "" if the first alone
    is longer than twice that."""
    kept, length = [], 0
    for paragraph in paragraphs:
        if kept and length + len(paragraph) > ANSWER_LENGTH[language]:
            break
        kept.append(paragraph.strip())
        length += len(paragraph)
    text = "\n\n".join(kept)
    return text if 0 < len(text) <= 2 * ANSWER_LENGTH[language] else ""


def is_in(language, text):
    """Whether a text of a few words or more is in the language: help pages are translated in part."""
    found = language_of(text * (1 + 120 // max(1, len(text))), language)
    if language in ("zh", "zh-Hant"):
        return found in ("zh", "zh-Hant") and is_plausible(language, text)
    return found == language and is_plausible(language, text)


# --- kinds ---------------------------------------------------------------------------------------

FAQ_HEADING = re.compile(r"^(?:\d+\.)+\s*\d*\.?\s*(.{4,200}[?？])$")
ANY_HEADING = re.compile(r"^(?:\d+\.){1,4}\d*\s+\S.{0,200}$")


def faq_rows(language, file, paragraphs):
    """A numbered heading that asks, and what stands under it up to the next."""
    question, answer = None, []
    for paragraph in [*paragraphs, "0.0. "]:
        heading = FAQ_HEADING.match(paragraph)
        if heading or ANY_HEADING.match(paragraph) or paragraph == "0.0. ":
            text = answer_of(language, answer) if question else ""
            if text and not text.endswith((":", "：")):
                yield question, text
            question, answer = heading and heading.group(1).strip(), []
        else:
            answer.append(paragraph)


def manual_rows(language, file, paragraphs):
    """Section 1, 6 and 8: commands; 2 and 3: functions. Name line, then the description's start."""
    section = re.search(r"/man(\d)[^/]*/([^/]+?)\.\d\w*(?:\.gz)?$", file)
    if not section or section.group(1) not in "12368" or len(paragraphs) < 3:
        return
    name = section.group(2)
    # "sq, unsq - compress or uncompress a sorted word list"
    line = next((p for p in paragraphs[:3] if re.match(r"^\S.{0,120}?\s[-–—]+\s+\S", p)), None)
    if not line:
        return
    what = re.split(r"\s[-–—]+\s+", line, maxsplit=1)[1].strip()
    start = next((k for k, p in enumerate(paragraphs) if len(p) < 40 and DESCRIPTION_HEADINGS.search(p)), None)
    about = paragraphs[start + 1:start + 2] if start is not None else []
    text = answer_of(language, [what, *[p for p in about if is_in(language, p) and not p.endswith((":", "："))]])
    if not text or not is_in(language, text):
        return
    frames = COMMAND_QUESTIONS if section.group(1) in "168" else FUNCTION_QUESTIONS
    yield choose(frames[language], name), text


def help_rows(language, file, paragraphs):
    """Title and the paragraphs up to the first short one: a heading, or how to get there."""
    if len(paragraphs) < 2 or not 2 <= len(paragraphs[0]) <= 80 or "\n" in paragraphs[0]:
        return
    title, body = paragraphs[0], []
    if language != "en" and not is_in(language, title):
        return
    for paragraph in paragraphs[1:4]:
        if len(paragraph) < (40 if language == "en" else 14) or paragraph.endswith(("...", "…", ":", "：")):
            break
        if not is_in(language, paragraph):
            break
        body.append(paragraph)
    if text := answer_of(language, body):
        yield choose(HELP_QUESTIONS[language], title), text


KINDS = {"faq": (FAQ, faq_rows), "manual": (MANUALS, manual_rows), "help": (HELP, help_rows)}


# --- package descriptions ------------------------------------------------------------------------


def fetch_descriptions(folder):
    """apt's files of package descriptions in our languages, in a folder of their own: the system's
    lists stay as they are."""
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    if not any("Translation-ja" in path.name for path in lists.iterdir()):
        settings = folder / "apt.conf"
        names = "; ".join(f'"{name}"' for name in ["en", *TRANSLATIONS])
        settings.write_text(f'#clear Acquire::Languages;\nAcquire::Languages {{ {names}; }};\n'
                            f'Dir::State::lists "{lists}";\nDir::Cache "{folder / "cache"}";\n')
        (folder / "cache").mkdir(exist_ok=True)
        say("package descriptions ...")
        # A source beside Debian's own may fail; what counts is what is there afterwards.
        subprocess.run(["apt-get", "update", "-qq", "-c", str(settings)], capture_output=True)
    return sorted(path for path in lists.iterdir() if "_i18n_Translation-" in path.name)


def read_descriptions(path):
    """From the description's checksum to its package and text: short line, then paragraphs."""
    shown = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", str(path)], capture_output=True)
    found = {}
    for block in shown.stdout.decode("utf-8", "replace").split("\n\n"):
        fields = re.match(r"Package: (\S+)\nDescription-md5: (\w+)\nDescription-\w+: (.*)\n?((?: .*\n?)*)", block)
        if not fields:
            continue
        package, checksum, short, rest = fields.groups()
        paragraphs, lines = [], []
        for line in [*rest.split("\n"), " ."]:
            if line.strip() == ".":
                if lines:
                    paragraphs.append(lines)
                lines = []
            elif line.strip():
                lines.append(line[1:])
        found[checksum] = (package, short.strip(), paragraphs)
    return found


def running_text(language, lines):
    """One paragraph, or "" where its line ends may stand inside words or it is a list."""
    if any(line.startswith((" ", "*", "-")) for line in lines):
        return ""
    if language == "ko" and len(lines) > 1:
        return ""
    return flow("\n".join(lines))


def translation_rows(files):
    """(language of the answer, package, instruction, output), both ways."""
    english = {}
    for path in files:
        if path.name.split("Translation-")[1].startswith("en"):
            english.update(read_descriptions(path))
    for path in files:
        code = path.name.split("Translation-")[1].replace("%5f", "_").split(".")[0]
        language = TRANSLATIONS.get(code)
        if not language:
            continue
        for checksum, (package, short, paragraphs) in read_descriptions(path).items():
            if checksum not in english:
                continue
            _, english_short, english_paragraphs = english[checksum]
            ours, theirs = short, english_short
            if paragraphs and english_paragraphs:
                first, english_first = (running_text(language, paragraphs[0]),
                                        running_text("en", english_paragraphs[0]))
                if first and english_first and is_in(language, first) and len(english_first) < 500:
                    ours, theirs = f"{short}\n\n{first}", f"{english_short}\n\n{english_first}"
            if len(ours) < 4 or len(theirs) < 8 or not is_in(language, ours):
                continue
            if number_of(checksum) % 2 == 0:
                yield language, package, choose(FROM_ENGLISH[language], theirs), ours
            else:
                yield "en", package, choose(TO_ENGLISH[language], ours), theirs


# --- held-out text -------------------------------------------------------------------------------

SQUEEZED = re.compile(r"[\W_]+")


class HeldOut:
    """Text that is kept for evaluation: rows that share a stretch of it would give it away."""

    STRETCH = 30  # letters and digits

    def __init__(self, files):
        texts = []
        for path in files:
            try:
                with open(path, encoding="utf-8") as rows:
                    texts.extend(SQUEEZED.sub("", json.loads(row)["text"]) for row in rows if row.strip())
            except (OSError, ValueError, KeyError, TypeError) as error:
                die(f"{path}: not JSON lines with a \"text\": {error}")
        whole = "\0".join(texts)
        self.starts = {whole[k:k + self.STRETCH] for k in range(len(whole) - self.STRETCH + 1)}

    def shares(self, row):
        text = SQUEEZED.sub("", row["output"])
        step = self.STRETCH // 2
        return any(text[k:k + self.STRETCH] in self.starts
                   for k in range(0, len(text) - self.STRETCH + 1, step)) if self.starts else False


# --- the rows ------------------------------------------------------------------------------------


class Rows:
    """Rows by kind and language, each instruction once."""

    def __init__(self):
        self.rows, self.seen = {}, set()

    def add(self, kind, language, instruction, output, package, licence):
        instruction, output = instruction.strip(), output.strip()
        if not instruction or not output or instruction in self.seen:
            return
        self.seen.add(instruction)
        self.rows.setdefault((kind, language), []).append(
            {"instruction": instruction, "output": output, "language": language, "kind": kind,
             "package": package, "licence": licence})

    def limited(self, limit):
        """At most `limit` of a kind in a language, the ones of the lowest hashes; all in an order
        that mixes kinds and languages."""
        kept = []
        for (kind, _), rows in self.rows.items():
            rows.sort(key=lambda row: number_of(row["instruction"]))
            kept.extend(rows if kind == "own" else rows[:limit])
        return sorted(kept, key=lambda row: number_of("order " + row["instruction"]))


def package_rows(rows, manifest, licences):
    debs, extracted = cache_folder() / "fetch_text" / "debs", cache_folder() / "fetch_text" / "extracted"
    for folder in (debs, extracted, licences):
        folder.mkdir(parents=True, exist_ok=True)
    for kind, (packages, make) in KINDS.items():
        for name in packages:
            record = package_record(name)
            if not record:
                say(f"{name}: passed over: this release has no such package")
                continue
            try:
                file = fetch_text.extract(name, record, fetch_text.fetch(name, record, debs), extracted)
            except (RuntimeError, OSError) as error:
                say(f"{name}: passed over: {error}")
                continue
            with open(file, encoding="utf-8") as lines:
                header = json.loads(next(lines))
                for line in lines:
                    language, inside, paragraphs = json.loads(line)
                    for instruction, output in make(language, inside, paragraphs):
                        rows.add(kind, language, instruction, output, name, header["licence"])
            (licences / f"{name}.txt").write_text(header["copyright"])
            manifest.append({"package": name, "version": record["Version"], "sha256": record["SHA256"],
                             "kind": kind, "licence": header["licence"]})


DESCRIPTIONS_LICENCE = "package descriptions of Debian and their translations by its translators; " \
                       "the archive names no licence of their own beside each package's"


def description_rows(rows, manifest):
    files = fetch_descriptions(cache_folder() / "fetch_instructions")
    for language, package, instruction, output in translation_rows(files):
        rows.add("translation", language, instruction, output, package, DESCRIPTIONS_LICENCE)
    for path in files:
        manifest.append({"package": path.name.split("_dists_")[-1], "version": "",
                         "sha256": fetch_text.sha256(path), "kind": "translation",
                         "licence": DESCRIPTIONS_LICENCE})


def own_rows(rows, manifest, path):
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        die(f"{path}: cannot be read: {error}")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            instruction, output = row["instruction"], row["output"]
            if row.get("input"):
                instruction += "\n" + row["input"]
        except (ValueError, KeyError, TypeError):
            die(f'{path}:{number}: not a row; every line is {{"instruction": TEXT, "output": TEXT}}')
        rows.add("own", row.get("language") or language_of(output) or "en", instruction, output, path.name,
                 row.get("licence", "your own"))
    manifest.append({"package": path.name, "version": "", "sha256": fetch_text.sha256(path), "kind": "own",
                     "licence": "your own"})


def report(path, counts, manifest):
    kinds = sorted({kind for kind, _ in counts})
    head = "".join(f"<th>{language}</th>" for language in LANGUAGES)
    table = "".join(
        f"<tr><td>{kind}</td>" + "".join(
            f"<td class=n>{counts.get((kind, language), 0):,}</td>" for language in LANGUAGES) + "</tr>"
        for kind in kinds)
    sources = "".join(
        f"<tr><td>{html.escape(s['package'])}</td><td>{html.escape(s['version'])}</td><td>{s['kind']}</td>"
        f"<td>{html.escape(s['licence'])}</td><td class=h>{s['sha256']}</td></tr>" for s in manifest)
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Instruction rows</title><style>"
        ":root{color-scheme:light dark}body{font:14px/1.5 system-ui,sans-serif}"
        "td,th{padding:2px 12px 2px 0;text-align:left;vertical-align:top}.n{text-align:right}"
        ".h{font:11px ui-monospace,monospace}</style>"
        f"<h3>Rows by kind and language</h3><table><tr><th></th>{head}</tr>{table}</table>"
        "<h3>Sources and licences</h3><table><tr><th>source</th><th>version</th><th>kind</th>"
        f"<th>licence</th><th>SHA-256</th></tr>{sources}</table></html>\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows")
    parser.add_argument("--own", default="", metavar="FILE",
                        help="a file of your own rows: JSON lines of instruction, output")
    parser.add_argument("--exclude", type=Path, nargs="+", default=[], metavar="FILE",
                        help="JSON lines of text: rows that share a stretch of it are left out")
    parser.add_argument("--limit", type=int, default=1500, help="rows of a kind in a language, at most (1500)")
    arguments = parser.parse_args()
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if not shutil.which(tool):
            die(f"{tool} is missing; this script needs Debian or Ubuntu")
    out = arguments.out
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        die(f"{error.filename}: {error.strerror}; choose another folder with --out")
    rows, manifest, held_out_text = Rows(), [], HeldOut(arguments.exclude)
    if arguments.own:
        own_rows(rows, manifest, Path(arguments.own).expanduser())
    fetch_text.ensure_package_lists()
    package_rows(rows, manifest, out / "licences")
    description_rows(rows, manifest)
    counts, excluded = {}, 0
    with open(out / "train.jsonl", "w", encoding="utf-8") as train, \
            open(out / "held-out.jsonl", "w", encoding="utf-8") as held_out:
        for row in rows.limited(arguments.limit):
            if held_out_text.shares(row):
                excluded += 1
                continue
            counts[row["kind"], row["language"]] = counts.get((row["kind"], row["language"]), 0) + 1
            target = held_out if number_of("held out " + row["instruction"]) % 20 == 0 else train
            target.write(json.dumps(row, ensure_ascii=False) + "\n")
    if not counts:
        die("there is no row; are apt's package lists and the network there?")
    (out / "manifest.json").write_text(json.dumps(
        {"excluded": excluded, "rows": {f"{kind} {language}": n for (kind, language), n in sorted(counts.items())},
         "sources": manifest}, indent=1, ensure_ascii=False) + "\n")
    report(out / "report.html", counts, manifest)
    if arguments.exclude:
        say(f"{excluded:,} rows share text with the held-out documents and are left out")
    for (kind, language), number in sorted(counts.items()):
        say(f"{kind} {language}: {number:,} rows")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        die("stopped; run it again to go on")
