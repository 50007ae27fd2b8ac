"""Writes tests/golden/tokenizer_bpe/: small byte-level tokenizers with the pre-tokenizers of real
models, and what `tokenizers` makes of difficult texts with them.

    python tests/golden/tokenizer_bpe.py
"""

import json
import pathlib
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors, trainers
from tokenizers import pre_tokenizers as parts

FOLDER = pathlib.Path(__file__).resolve().parent / "tokenizer_bpe"

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
DEEPSEEK3 = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def split(pattern, behavior="isolated", invert=False):
    return parts.Split(Regex(pattern), behavior, invert)


WITH_REGEX = parts.ByteLevel(add_prefix_space=False, use_regex=True)
WITHOUT_REGEX = parts.ByteLevel(add_prefix_space=False, use_regex=False)
PRE_TOKENIZERS = {
    "gpt2": WITH_REGEX,
    "gpt2_prefix_space": parts.ByteLevel(add_prefix_space=True, use_regex=True),
    "smollm2": parts.Sequence([parts.Digits(True), WITH_REGEX]),
    "llama3": parts.Sequence([split(LLAMA3), WITHOUT_REGEX]),
    "qwen2": parts.Sequence([split(QWEN2), WITHOUT_REGEX]),
    "bloom": parts.Sequence([split(BLOOM), WITHOUT_REGEX]),
    "deepseek3": parts.Sequence([split(r"\p{N}{1,3}"), split(r"[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3), WITHOUT_REGEX]),
    "o200k": parts.Sequence([split(O200K, "removed", True), WITHOUT_REGEX]),
    "falcon": parts.Sequence([parts.Punctuation("contiguous"), WITH_REGEX, parts.Digits(False), split(r"[0-9][0-9][0-9]")]),
}

TRAINING = """The quick brown fox jumps over the lazy dog. It's what we've said: they'll see, I'd say you're right!
Hello world, how are you today? The model's answer is 42, or 3.14159, and 2024-11-23.
Быстрая коричневая лиса прыгает через ленивую собаку. Привет, мир! Как дела сегодня?
快速的棕色狐狸跳过了懒狗。你好，世界！今天天气很好，我们去公园吧。中文分词器。
これはテストです。日本語の文章をトークンに分割します。カタカナとひらがな、漢字。
안녕하세요 세계! 오늘 날씨가 좋네요. 한국어 문장입니다.
Der schnelle braune Fuchs springt über den faulen Hund. Straße, Mädchen, Größe.
مرحبا بالعالم! كيف حالك اليوم؟ नमस्ते दुनिया, आप कैसे हैं? สวัสดีชาวโลก 😀😃🎉
def f(x):\n    return x + 1\n\n\tif x == 0:\n        print("zero")\r\n"""

TEXTS = [
    "",
    " ",
    "Hello world, how are you today?",
    "It's what WE'VE said; they'll SEE 'S 's ''t 'ſ x'd'm",
    "  two  spaces   three\t\ttabs\n\n\nlines \n \r\n\r\n end  ",
    "1 12 123 1234 12345 ١٢٣٤ Ⅷ ½ ² 3.14 x1y2",
    "Привет, мир! Как дела? Стра\u0301нно",
    "快速的棕色狐狸，你好世界。今天2024年11月",
    "これはテストです。カタカナ",
    "안녕하세요 세계!",
    "Straße über Größe e\u0301\u0302 n\u0303",
    "مرحبا بالعالم؟ नमस्ते दुनिया। สวัสดีชาวโลก",
    "😀😃🎉 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 👍🏽",
    "\u00a0a\u2003b\u3000c\u1680d\u2028e\u2029f\u0085g\u200bh\ufeffi\u180ej",
    "\x00\x01\x02\x1c\x1d\x1e\x1f\x7f\x80\x9f",
    "a<|end|>b <|end|> <|END|>c<|end|",
    "x [MASK] y[MASK]z  [MASK]\n [MASK]",
    "word Ward wor word_word word's (word) aword",
    "left <l> right <r>   both <lr>  \n<lr>",
    "foo(bar)|baz[qux]…end।x۔y،z",
    "!!! ... --- ===\r\n\r\n## *bold* `code` $x^2$ a/b//c",
    "𝒜𝓫 𠀀𠀁 \U0001e900\U0001e922 \U00011de0 \u1c89 \ua7cb",
    "abc" * 40,
    "的" * 60 + "，" + "テスト" * 30,
    "supercalifragilisticexpialidocious" * 3,
]
INVALID = ["ff", "61c328", "e282", "f09f98", "eda080", "c0af20", "20f4908080", "6180816f6b", "e0807ff88880808078"]

# A text from a seed that the test makes too: letters of a fixed string at places of a linear
# congruential generator.
FRAGMENTS = ["the", " the", "  ", "\n", " ", "é", "ß", "привет", "мир", "中", "文字", "。", "テ", "한국", "1", "23", "456", "'s", "'LL", "...", "!", "😀", "\u0301", "\t", "\r\n", "a", "B", "ing", "tion", "<|end|>", "_", "-", "(", ")", "\u00a0", "\u3000", "ا", "म", "ส", "x"]


def generated_text(seed, length):
    state, out = seed, []
    for _ in range(length):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(FRAGMENTS[(state >> 33) % len(FRAGMENTS)])
    return "".join(out)


def fnv(ids):
    value = 0xCBF29CE484222325
    for one in ids:
        value = ((value ^ one) * 0x100000001B3) % 2**64
    return value


ADDED = [
    AddedToken("<|end|>", special=True, normalized=False),
    AddedToken("[MASK]", special=True, normalized=False, lstrip=True),
    AddedToken("word", normalized=True, single_word=True),
    AddedToken("<l>", normalized=False, lstrip=True),
    AddedToken("<r>", normalized=False, rstrip=True),
    AddedToken("<lr>", normalized=True, lstrip=True, rstrip=True),
]


def train(pre_tokenizer, name):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    # SmolLM2 lacks the pieces of some bytes, and so does this one.
    alphabet = [] if name == "smollm2" else parts.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=520, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([TRAINING] * 3, trainer)
    tokenizer.add_tokens(ADDED)
    tokenizer.add_special_tokens([t for t in ADDED if t.special])
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    if name == "llama3":
        document = json.loads(tokenizer.to_str())
        document["model"]["ignore_merges"] = True
        # Pieces that no merge makes: only ignore_merges gives them.
        document["model"]["vocab"][" Hello".replace(" ", "Ġ")] = 600
        document["model"]["vocab"]["tion"] = 601
        document["model"]["vocab"]["å¤©"] = 602
        tokenizer = Tokenizer.from_str(json.dumps(document))
        end = tokenizer.token_to_id("<|end|>")
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(single="<|end|> $A [MASK]", special_tokens=[("<|end|>", end), ("[MASK]", tokenizer.token_to_id("[MASK]"))]),
        ])
    if name == "gpt2_prefix_space":
        tokenizer.post_processor = processors.RobertaProcessing(("<|end|>", tokenizer.token_to_id("<|end|>")), ("[MASK]", tokenizer.token_to_id("[MASK]")))
    return tokenizer


def cases_of(tokenizer):
    texts = [t.encode() for t in TEXTS] + [bytes.fromhex(h) for h in INVALID]
    encoded = [tokenizer.encode(t.decode("utf-8", "replace")).ids for t in texts]
    bulk = [tokenizer.encode(generated_text(seed, 3000)).ids for seed in range(8)]
    rng = random.Random(5)
    size = tokenizer.get_vocab_size()
    random_ids = [[rng.randrange(size) for _ in range(30)] for _ in range(6)]
    return {
        "ids": encoded,
        "bulk_counts": [len(ids) for ids in bulk],
        "bulk_hashes": [str(fnv(ids)) for ids in bulk],
        "plain": [tokenizer.encode(t.decode("utf-8", "replace"), add_special_tokens=False).ids for t in texts[2:4]],
        "decode_ids": random_ids,
        "decoded": [tokenizer.decode(ids, skip_special_tokens=False) for ids in random_ids],
        "decoded_without_special": [tokenizer.decode(ids) for ids in random_ids],
    }


PIECE_TEXTS = [
    "Hello, world! It's 12345 o'clock...  (really)\n",
    "a-b--c  d\te\r\nf",
    "中文，测试 12½ ٣ x² _under_score \u200d\u200c",
    "  ▁lead and trail▁  ",
    "#a.b.c#  ##",
    "",
]
PIECE_NODES = [
    *(("behavior_" + b, parts.Split(Regex(r"[\s,.-]"), b)) for b in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous")),
    *(("inverted_" + b, parts.Split(Regex(r"\w+"), b, True)) for b in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous")),
    ("literal", parts.Split("..", "merged_with_previous")),
    ("hex", split(r"[^a\h]+")),
    ("line_end", split(r"\s+$")),
    ("line_start", split(r"^\S")),
    ("nested", split(r"[^a[bc]\s]+")),
    ("boundary", split(r"\b")),
    ("not_digit", split(r"[^\d]+|\D")),
    ("not_letter", split(r"[\P{L}]+")),
    ("caret_letter", split(r"\p{^L}+")),
    ("lookbehind", split(r"(?<=[a-z])\s|(?<![a-z])-")),
    ("lazy", split(r"\w+?\b|x*")),
    ("interval", split(r"[a-z]{,2}|[0-9]{2}")),
    ("dot_newline", split(r"(?m:.\n.)|(?i:HELLO)")),
    ("code_points", split("[\\x{4e00}-\\x{9fff}\\u3000a\\x41]+")),
    ("vertical", split(r"[\v\f\t]")),
    ("digits", parts.Digits(False)),
    ("individual_digits", parts.Digits(True)),
    ("punctuation", parts.Punctuation("merged_with_previous")),
    ("punctuation_isolated", parts.Punctuation()),
    ("whitespace", parts.Whitespace()),
    ("whitespace_split", parts.WhitespaceSplit()),
    ("delimiter", parts.CharDelimiterSplit("#")),
    ("bert", parts.BertPreTokenizer()),
    ("metaspace_always", parts.Metaspace(prepend_scheme="always")),
    ("metaspace_first", parts.Sequence([parts.WhitespaceSplit(), parts.Metaspace(prepend_scheme="first")])),
    ("metaspace_never", parts.Metaspace(prepend_scheme="never", split=False)),
    ("fixed_length", parts.FixedLength(3)),
    ("sequence", parts.Sequence([parts.Whitespace(), parts.Digits(True), parts.Punctuation()])),
]

DECODER_PIECES = ["▁Hello", "▁", "wor", "##ld", "<0xE4>", "<0xB8>", "<0xAD>", "<0xFF>", "<0x41>", "</w>", "end</w>", "▁▁", ".", "n't", " x", "é", "'", "a", "do not", "axx", "xxxyxx", "Ġthe", "ä¸", "Ń", "🙂"]
DECODERS = {
    "none": None,
    "byte_level": decoders.ByteLevel(),
    "llama": decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
    "metaspace": decoders.Metaspace(),
    "metaspace_never": decoders.Metaspace(prepend_scheme="never"),
    "word_piece": decoders.WordPiece(),
    "word_piece_plain": decoders.WordPiece(cleanup=False),
    "bpe": decoders.BPEDecoder(suffix="</w>"),
    "strip": decoders.Strip("x", 2, 1),
    "fused_strip": decoders.Sequence([decoders.Fuse(), decoders.Strip("x", 1, 2)]),
    "regex": decoders.Sequence([decoders.Replace(Regex(r"[▁ ]+"), "_"), decoders.Fuse(), decoders.Replace("__", "=")]),
    "byte_fallback": decoders.ByteFallback(),
    "byte_level_fused": decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 1)]),
}


def decoder_cases():
    rng = random.Random(7)
    vocabulary = {piece: number for number, piece in enumerate(DECODER_PIECES)}
    sequences = [[rng.randrange(len(DECODER_PIECES)) for _ in range(rng.randint(1, 12))] for _ in range(40)]
    sequences += [[4, 5, 6], [4, 5], [4, 5, 6, 7], [8, 4, 5, 6, 17], [19, 19], [20, 19], [1, 0]]
    cases = []
    for name, decoder in DECODERS.items():
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        if decoder is not None:
            tokenizer.decoder = decoder
        node = json.loads(tokenizer.to_str())["decoder"]
        cases.append({"name": name, "decoder": node, "decoded": [tokenizer.decode(s, skip_special_tokens=False) for s in sequences]})
    return {"pieces": DECODER_PIECES, "sequences": sequences, "cases": cases}


def piece_cases():
    cases = []
    for name, part in PIECE_NODES:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = part
        node = json.loads(tokenizer.to_str())["pre_tokenizer"]
        cases.append({"name": name, "pre_tokenizer": node, "pieces": [[piece for piece, _ in part.pre_tokenize_str(text)] for text in PIECE_TEXTS]})
    return {"texts": PIECE_TEXTS, "cases": cases}


def write(name, value):
    (FOLDER / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    FOLDER.mkdir(exist_ok=True)
    expected = {}
    for name, pre_tokenizer in PRE_TOKENIZERS.items():
        tokenizer = train(pre_tokenizer, name)
        write(f"{name}.json", json.loads(tokenizer.to_str()))
        expected[name] = cases_of(tokenizer)
    write("expected.json", {"texts": [t.encode().hex() for t in TEXTS] + INVALID, "fragments": FRAGMENTS, "tokenizers": expected})
    write("pre_tokenizers.json", piece_cases())
    write("decoders.json", decoder_cases())


if __name__ == "__main__":
    main()
