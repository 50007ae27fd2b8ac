"""Small SentencePiece models of every kind, trained here by `sentencepiece` itself, and what it gives for
plain and for adversarial text: tests/golden/sentencepiece/NAME.model and cases.json.

    python tests/golden/tokenizer_sentencepiece.py      (sentencepiece 0.2.3)
"""

import io
import json
import pathlib
import random
import tempfile

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as proto

OUT = pathlib.Path(__file__).parent / "sentencepiece"

SENTENCES = """The quick brown fox jumps over the lazy dog, and the other dogs watch the fox.
A model that answers questions must first learn the language in which they are asked.
In 2023 there were 512 graphics cards, 64 nodes and 1,024 gigabytes of memory in each.
def encode(text): return [vocabulary[piece] for piece in split(text)]  # a comment
语言模型首先要学会提问所用的语言，然后才能回答问题。北京是中华人民共和国的首都。
言語モデルは、まず質問に使われる言語を学ばなければなりません。東京は日本の首都です。
언어 모델은 먼저 질문에 쓰이는 언어를 배워야 합니다. 서울은 대한민국의 수도입니다.
Языковая модель сначала должна выучить язык, на котором задают вопросы. Москва — столица России.
Το γλωσσικό μοντέλο πρέπει πρώτα να μάθει τη γλώσσα στην οποία γίνονται οι ερωτήσεις.
يجب أن يتعلم النموذج اللغوي أولا اللغة التي تطرح بها الأسئلة. القاهرة عاصمة مصر.
מודל שפה חייב ללמוד תחילה את השפה שבה נשאלות השאלות. ירושלים היא עיר הבירה.
भाषा मॉडल को पहले वह भाषा सीखनी होगी जिसमें प्रश्न पूछे जाते हैं। दिल्ली भारत की राजधानी है।
แบบจำลองภาษาต้องเรียนรู้ภาษาที่ใช้ถามคำถามก่อน กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย
Le modèle de langue doit d'abord apprendre la langue dans laquelle les questions sont posées.
Das Sprachmodell muss zuerst die Sprache lernen, in der die Fragen gestellt werden; große Übung.""".split("\n")

# A small set of rules in SentencePiece's own format: code points, a tab, code points.
RULES = """A\t61
B\t62
FF21\t61
FF22\t62
3000\t20
A0\t20
9\t20
A\t20
61 301\tE1
65 301\tE9
FB01\t66 69
2460\t31
1100 1161\tAC00
30AB 3099\t30AC
200B\t
AD\t
FDFA\t635 644 649 20 627 644 644 647
""".replace("A\t61\nB\t62\n", "41\t61\n42\t62\n", 1)

PLAIN = SENTENCES + ["", " ", "  ", "a", "hello  world", " leading", "trailing ", "   three   spaces   ", "\n", "\r\n\t x",
         "tabs\tand\nlines", "\u3000wide\u3000space\u3000", "no\u00a0break", "zero\u200bwidth\ufeff", "e\u0301\u0301a\u0301",
         "\u1100\u1161\u11a8", "ﬁne ①②", "👨‍👩‍👧‍👦👍🏽🇨🇳", "<s>hello</s><unk><0x41>", "<sep>hello<sep><ctl>", "▁▁x▁y", "a▁b",
         "\x01\x02\x7f\x80", "\ufffd", "\U0010ffff\ue000", "ＡＢ", "カ\u3099", "soft\u00adhyphen", "\ufdfa", "1234567890", "the theme others",
         "x" * 200, "ab" * 100, "语言" * 60, " " * 70, "-" * 75, "!?" * 40, "the " * 60, "é" * 80]
INVALID = [b"\xff", b"a\x80b", b"\xe8\xaf", b"\xe8\xaf\xad\xe8\xaf", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xf0\x9f\x91", b"x\xfe y\xf8\x88z"]


def adversarial(count):
    rng = random.Random(11)
    points = [0x20, 0x20, 0x20, 0x61, 0x62, 0x65, 0x74, 0x68, 0x301, 0x3000, 0xA0, 0x200B, 0x2581, 0x1F468, 0x1F3FD, 0xAC00, 0x1100, 0x1161,
              0x30AB, 0x3099, 0x4E2D, 0x8A00, 0x8BED, 0x93E, 0x94D, 0x627, 0x5D0, 0xAD, 0xFEFF, 0xFFFD, 0xA, 0x9, 0x1, 0xFB01, 0x3C, 0x73, 0x3E, 0x30, 0x2460]
    return ["".join(chr(rng.choice(points)) for _ in range(rng.randint(1, 24))) for _ in range(count)]


def train(name, **options):
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as rules:
        if options.pop("rules", False):
            rules.write(RULES)
            rules.flush()
            options["normalization_rule_tsv"] = rules.name
        else:
            options["normalization_rule_name"] = "identity"
        spm.SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES * 3), model_writer=model, minloglevel=2, num_threads=1,
                                       hard_vocab_limit=False, character_coverage=options.pop("coverage", 1.0), **options)
    document = proto.ModelProto()
    document.ParseFromString(model.getvalue())
    document.trainer_spec.ClearField("input")
    return name, document


def unused(name, source):
    """Every third piece of two characters and more is out of use."""
    document = proto.ModelProto()
    document.CopyFrom(source)
    count = 0
    for piece in document.pieces:
        if piece.type == piece.NORMAL and len(piece.piece) > 1:
            count += 1
            if count % 3 == 0:
                piece.type = piece.UNUSED
    return name, document


def main():
    OUT.mkdir(exist_ok=True)
    models = [
        train("bpe_bytes", model_type="bpe", vocab_size=760, byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True, remove_extra_whitespaces=False),
        train("bpe_rules", model_type="bpe", vocab_size=520, rules=True, user_defined_symbols=["<sep>", "hello", "语言"], control_symbols=["<ctl>"], unk_surface="??", coverage=0.98),
        train("bpe_suffix", model_type="bpe", vocab_size=500, treat_whitespace_as_suffix=True, split_by_whitespace=False, coverage=0.98),
        train("bpe_plain", model_type="bpe", vocab_size=480, add_dummy_prefix=False, coverage=0.98, bos_id=-1, eos_id=1, pad_id=2),
        train("unigram_rules", model_type="unigram", vocab_size=480, rules=True, coverage=0.98),
        train("unigram_bytes", model_type="unigram", vocab_size=700, byte_fallback=True, user_defined_symbols=["<sep>", "▁the"], control_symbols=["<ctl>"], coverage=0.98),
        train("character", model_type="char", vocab_size=400, coverage=0.98),
        train("word", model_type="word", vocab_size=150),
    ]
    models.append(unused("bpe_unused", models[0][1]))
    models.append(unused("unigram_unused", models[4][1]))
    texts = [text.encode() for text in PLAIN + adversarial(70)] + INVALID
    result = {"texts": [text.hex() for text in texts], "models": {}}
    for name, document in models:
        data = document.SerializeToString()
        (OUT / f"{name}.model").write_bytes(data)
        processor = spm.SentencePieceProcessor(model_proto=data)
        ids = [processor.encode(text) for text in texts]
        decoded = [processor.decode(row) for row in ids]
        result["models"][name] = {"size": processor.get_piece_size(), "bos": processor.bos_id(), "eos": processor.eos_id(), "pad": processor.pad_id(),
                                  "unk": processor.unk_id(), "ids": ids, "decoded": [text if isinstance(text, str) else text.decode() for text in decoded]}
    (OUT / "cases.json").write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")).replace('],"', '],\n"').replace('"],', '"],\n') + "\n")


if __name__ == "__main__":
    main()
