"""What Hugging Face tokenizers gives for every normalizer, for WordPiece (BERT), unigram and character-level BPE:
tests/golden/wordpiece/*.json. The vocabularies are small: BERT's is counted from the sentences, the others are
those of the SentencePiece models beside it.

    python tests/golden/tokenizer_wordpiece.py      (tokenizers 0.23.3, sentencepiece 0.2.3)
"""

import json
import pathlib
import re

from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tokenizer_sentencepiece import OUT as MODELS
from tokenizer_sentencepiece import INVALID, PLAIN, SENTENCES, adversarial

OUT = pathlib.Path(__file__).parent / "wordpiece"
TEXTS = [text.encode() for text in PLAIN + adversarial(50)] + INVALID + ["Ünïcödé ÀÉÎ İıſKÅΣΑΣ ǅ ẞ".encode(), "[CLS] a [MASK] b[SEP]".encode(), ("w" * 101).encode()]


def read(name):
    document = proto.ModelProto()
    document.ParseFromString((MODELS / f"{name}.model").read_bytes())
    return document


def bert_vocabulary():
    pieces = ["[PAD]"] + [f"[unused{i}]" for i in range(3)] + ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    normal = normalizers.BertNormalizer()
    words = {}
    for sentence in SENTENCES:
        for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normal.normalize_str(sentence)):
            words[word] = words.get(word, 0) + 1
    characters = sorted({c for word in words for c in word})
    pieces += characters + ["##" + c for c in characters]
    pieces += sorted(w for w in words if len(w) in (2, 3, 4)) + sorted({"##" + w[-3:] for w in words if len(w) > 5})
    return list(dict.fromkeys(pieces))


def bert():
    pieces = bert_vocabulary()
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", pieces.index("[SEP]")), ("[CLS]", pieces.index("[CLS]")))
    return tokenizer


def unigram(name, pre_tokenizer):
    document = read(name)
    tokenizer = Tokenizer(models.Unigram([(p.piece, round(p.score, 5)) for p in document.pieces], 0, document.trainer_spec.byte_fallback))
    steps = [normalizers.Replace(Regex(" {2,}"), " ")]
    if document.normalizer_spec.precompiled_charsmap:
        steps.insert(0, normalizers.Precompiled(document.normalizer_spec.precompiled_charsmap))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 2)])
    return tokenizer


def character_bpe(byte_fallback, fuse_unk, suffix=None):
    document = read("bpe_bytes")
    pieces = [p.piece for p in document.pieces if byte_fallback or not p.piece.startswith("<0x")]
    scores = {p.piece: p.score for p in document.pieces if p.type == p.NORMAL}
    merges = []
    if suffix:
        pieces += [p + suffix for p in pieces if not p.startswith("<")]
    vocabulary = {p: i for i, p in enumerate(pieces)}
    for piece, score in scores.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocabulary and right in vocabulary:
                merges.append((-score, vocabulary[left], vocabulary[right], left, right))
                if suffix:
                    merges.append((-score, vocabulary[left], vocabulary[right + suffix], left, right + suffix))
    merges.sort(key=lambda merge: merge[:3])
    tokenizer = Tokenizer(models.BPE(vocabulary, [merge[3:] for merge in merges], unk_token="<unk>", fuse_unk=fuse_unk, byte_fallback=byte_fallback, **({"end_of_word_suffix": suffix} if suffix else {})))
    if suffix:
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.decoder = decoders.BPEDecoder(suffix)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in ("<unk>", "<s>", "</s>")])
    return tokenizer


def write_tokenizers():
    made = {
        "bert": bert(),
        "unigram": unigram("unigram_rules", pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])),
        "unigram_bytes": unigram("unigram_bytes", pre_tokenizers.Metaspace(prepend_scheme="first")),
        "llama": character_bpe(True, True),
        "bpe_unknown": character_bpe(False, False),
        "bpe_suffix": character_bpe(False, True, "</w>"),
    }
    result = {"texts": [text.hex() for text in TEXTS], "tokenizers": {}}
    for name, tokenizer in made.items():
        ids = [tokenizer.encode(text.decode("utf-8", "replace")).ids for text in TEXTS]
        result["tokenizers"][name] = {"json": json.loads(tokenizer.to_str()), "ids": ids, "decoded": [tokenizer.decode(row) for row in ids]}
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    (OUT / "tokenizers.json").write_text(re.sub(r'("[a-z_]+":\{"json")', r"\n\1", text) + "\n")


def hash_of(data):
    value = 0xCBF29CE484222325  # FNV-1a
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def write_normalizers():
    charsmap = read("unigram_rules").normalizer_spec.precompiled_charsmap
    made = [
        normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD(), normalizers.Lowercase(), normalizers.StripAccents(), normalizers.Nmt(),
        normalizers.Strip(), normalizers.Strip(left=True, right=False), normalizers.Strip(left=False, right=True), normalizers.ByteLevel(),
        normalizers.BertNormalizer(), normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False),
        normalizers.BertNormalizer(lowercase=False), normalizers.Prepend("▁"), normalizers.Replace(" ", "▁"), normalizers.Replace("", "-"),
        normalizers.Replace(Regex(r"\s+"), " "), normalizers.Replace(Regex("x*"), "$1"), normalizers.Precompiled(charsmap),
        normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Sequence([normalizers.Lowercase(), normalizers.Strip()])]),
    ]
    # Every character by itself, where it matters: as one number.
    points = [c for c in range(1, 0x20000) if not 0xD800 <= c <= 0xDFFF] + list(range(0x2F800, 0x2FA20)) + list(range(0xE0000, 0xE0200))
    result = {"texts": [text.decode("utf-8", "replace") for text in TEXTS], "normalizers": []}
    for normalizer in made:
        node = json.loads(normalizer.__getstate__())
        row = {"node": node, "normalized": hash_of("\x1f".join(normalizer.normalize_str(text) for text in result["texts"]).encode())}
        if node["type"] in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "BertNormalizer"):
            row["characters"] = hash_of("".join(normalizer.normalize_str(chr(c)) for c in points).encode())
        result["normalizers"].append(row)
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    (OUT / "normalizers.json").write_text(text.replace('{"node"', '\n{"node"') + "\n")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    write_tokenizers()
    write_normalizers()
