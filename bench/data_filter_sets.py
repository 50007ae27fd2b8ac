#!/usr/bin/env python3
"""Makes the text sets that the document stages are judged on, as JSON lines.

    python3 bench/data_filter_sets.py OUT --corpus CORPUS --data DATA --benchmarks BENCHMARKS

CORPUS holds en.jsonl, zh.jsonl, zh-Hant.jsonl, ja.jsonl, ko.jsonl (recipes/fetch_text.py makes
them); DATA and BENCHMARKS are folders of public data sets: SQuAD, CMRC 2018, DRCD, JSQuAD, Aozora
Bunko, NSMC, the Korean chatbot data, KLUE, LCCC's toy set. What is absent is left out. Writes

  good-*.jsonl      text that should pass: manuals, encyclopedia paragraphs, novels, in four languages
  bad-*.jsonl       text that should not: chat, film reviews, advertisements, key words, markup,
                    tables of numbers, cut-off teasers, repetition
  language-N.jsonl  labelled snippets of N = 5, 10, 20, 50 characters
"""
import argparse
import csv
import glob
import json
import os
import random
import re


def write(folder, name, rows):
    rows = list(rows)
    if not rows:
        return
    with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row if isinstance(row, dict) else {"text": row}, ensure_ascii=False) + "\n")
    print(f"{name}: {len(rows)}")


def load(path):
    with open(path, encoding="utf-8-sig") as file:
        return json.load(file)


def squad_paragraphs(path):
    seen = dict.fromkeys(p["context"] for a in load(path)["data"] for p in a["paragraphs"])
    return [text for text in seen]


def corpus_rows(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"]


def chunks(text, size):
    """Pieces of whole paragraphs of about `size` characters, as crawled pages are."""
    piece = ""
    for paragraph in text.split("\n\n"):
        piece += ("\n\n" if piece else "") + paragraph
        if len(piece) >= size:
            yield piece
            piece = ""
    if piece:
        yield piece


def groups(items, size):
    items = list(items)
    for at in range(0, len(items) - size + 1, size):
        yield items[at:at + size]


def good_sets(out, args):
    for language, size in (("en", 2000), ("zh", 700), ("zh-Hant", 700), ("ja", 800), ("ko", 900)):
        path = os.path.join(args.corpus, language + ".jsonl")
        if os.path.exists(path):
            pieces = [p for text in corpus_rows(path) for p in chunks(text, size) if len(p) >= size // 2]
            random.Random(1).shuffle(pieces)
            write(out, "good-manuals-" + language, pieces[:4000])
    for name, path in (("en", f"{args.benchmarks}/squad2_dev.json"),
                       ("zh", f"{args.data}/text/zh/cmrc2018/cmrc2018_trial.squad-style.json"),
                       ("zh", f"{args.benchmarks}/cmrc2018_dev.squad-style.json"),
                       ("zh-Hant", f"{args.data}/text/zh/drcd/DRCD_dev.json"),
                       ("ja", f"{args.data}/text/ja/jglue/jsquad-v1.3-valid.json")):
        if os.path.exists(path):
            kind = os.path.basename(path).split("_")[0].split("-")[0].split(".")[0].lower()
            if name == "ja":
                texts = [t.split("[SEP]")[-1].strip() for t in squad_paragraphs(path)]
            else:
                texts = squad_paragraphs(path)
            write(out, f"good-wiki-{name}-{kind}", texts)
    path = f"{args.data}/text/ja/aozora/neko.txt"
    if os.path.exists(path):
        lines = open(path, encoding="utf-8").read()
        write(out, "good-novel-ja", chunks(re.sub(r"\n\n+", "\n\n", lines), 800))
    path = f"{args.data}/text/ko/klue/klue-nli-v1.1_dev.json"
    if os.path.exists(path):
        rows = dict.fromkeys(r["premise"] for r in load(path) if r["source"] in ("wikinews", "wikipedia", "wikitree", "policy"))
        write(out, "good-news-ko", (" ".join(g) for g in groups(rows, 5)))
    path = f"{args.data}/instructions/tigerbot/dev_pretrain.json"
    if os.path.exists(path):
        write(out, "good-baike-zh", (r["content"].replace("</s>", "") for r in load(path)))


HTML = """<div class="nav"><ul><li><a href="/index.html">Home</a></li><li><a href="/a?id=%d">About us</a></li></ul></div>
<script type="text/javascript">var x=%d; function init(){ document.write("&nbsp;"); }</script>
<p style="margin:0">%s</p><br/><span class="date">2023-0%d-11</span>"""

ADS = {
    "en": ["Buy now and get free shipping on all orders!", "Limited time offer: use promo code SAVE%d at checkout.",
           "Call now for a free quote on the best price in town.", "Our cheap price watches come with a money back guarantee.",
           "Shop now, sold out soon.", "Contact us today for the lowest price.", "Don't miss out on this exclusive deal.",
           "Order now, in stock and ready for free delivery."],
    "zh": ["厂家直销，质量保证，欢迎来电咨询，咨询热线：400-%d-8888。", "限时优惠，全场包邮，立即购买还送优惠券。", "加微信领取免费试用装，假一赔十。",
           "专业生产各类门窗，价格优惠，量大从优。", "招商加盟，月入过万不是梦，加盟热线请拨打上方电话。", "淘宝店新品上市，欢迎选购，七天无理由退货。",
           "代开发票，办理证件，联系电话在下方。", "正品保证，货到付款，售后服务有保障。"],
    "ja": ["今なら送料無料、期間限定のセールを開催中です。", "お申し込みはこちらから、無料体験も受付中。", "激安価格でお買い得な商品が%d点以上。",
           "今すぐ購入するとポイント還元があります。", "数量限定ですのでお早めにカートに入れるを押してください。", "通販ならではの最安値でお届けします。",
           "資料請求は無料です、今すぐ登録してください。", "即日発送、返金保証付きで安心です。"],
    "ko": ["지금 구매하시면 무료배송 혜택을 드립니다.", "최저가 보장, 할인쿠폰 %d장을 바로 드립니다.", "카톡 문의 환영합니다, 상담문의는 언제나 가능합니다.",
           "이벤트 참여하시고 사은품 받아가세요.", "당일발송 가능, 적립금도 쌓으세요.", "무료상담 받으시고 특가로 구매하기를 누르세요.",
           "인기상품과 추천상품을 최저가로 만나보세요.", "업체 추천 가격 문의는 문의전화로 연락 주세요."],
}


def bad_sets(out, args):
    rng = random.Random(2)
    path = f"{args.data}/text/ko/chatbot_data/ChatbotData.csv"
    if os.path.exists(path):
        rows = [r for r in csv.reader(open(path, encoding="utf-8"))][1:]
        write(out, "bad-chat-ko", ("\n".join(f"{r[0]}\n{r[1]}" for r in g) for g in groups(rows, 8)))
    reviews = [r["review"] for p in sorted(glob.glob(f"{args.data}/text/ko/nsmc/*.json")) for r in load(p)]
    write(out, "bad-reviews-ko", ("\n".join(g) for g in groups(reviews, 8)))
    path = f"{args.data}/text/zh/cdial-gpt/toy_train.txt"
    if os.path.exists(path):
        rows = [line.strip() for line in open(path, encoding="utf-8")]
        write(out, "bad-spaced-zh", ("\n".join(r.replace("\t", "\n") for r in g) for g in groups(rows, 5)))
        write(out, "bad-chat-zh", ("\n".join(re.sub(r" +", "", r).replace("\t", "\n") for r in g)
                                   for g in groups(rows, 5)))
    for language, lines in ADS.items():
        write(out, "bad-advertisement-" + language,
              (" ".join(x % rng.randrange(100, 999) if "%d" in x else x for x in rng.sample(lines, 6)) for _ in range(200)))
    chat = ["lol yeah idk", "omg haha that is so funny!!!", "btw u coming 2nite??", "nah gonna stay home plz call me", "hey dude wanna play",
            "hmm ok ttyl", "wow lmao", "thx bro!!", "yeah i guess so...", "wtf is this lol", "ugh im so bored rn", "ppl are weird haha"]
    write(out, "bad-chat-en", ("\n".join(rng.choice(chat) for _ in range(14)) + " %d" % k for k in range(200)))
    logs = ["ok see you there", "no problem", "can you send it again?", "I will check", "done", "what about the other one", "let me look"]
    write(out, "bad-log-en", ("\n".join(f"{rng.randrange(24):02}:{rng.randrange(60):02} {rng.choice(['anna', 'bob', 'kim'])}: {rng.choice(logs)}"
                                        for _ in range(15)) for _ in range(200)))
    words = {"en": open("/usr/share/dict/words").read().split() if os.path.exists("/usr/share/dict/words") else
             "watch shoes bag cheap price hotel flight ticket phone case cover battery screen laptop tablet camera lens red blue black leather".split(),
             "zh": "手机 电脑 相机 镜头 皮包 手表 酒店 机票 电池 屏幕 平板 红色 蓝色 黑色 真皮 批发 采购 供应 不锈钢 钢管 螺丝 轴承 电缆 阀门".split(),
             "ja": "携帯電話 電池 画面 時計 革靴 鞄 旅館 航空券 赤 青 黒 本革 卸売 カメラ レンズ タブレット ケース カバー".split(),
             "ko": "휴대폰 배터리 화면 시계 가죽신발 가방 호텔 항공권 빨강 파랑 검정 도매 카메라 렌즈 태블릿 케이스 커버".split()}
    for language, list_ in words.items():
        write(out, "bad-keywords-" + language,
              ((", " if language != "zh" else "，").join(rng.choice(list_) for _ in range(80)) for _ in range(200)))
    write(out, "bad-numbers", ("\n".join(" ".join(f"{rng.random() * 1000:.2f}" for _ in range(8)) for _ in range(20))
                               for _ in range(200)))
    sentence = {"en": "The committee met on Monday to discuss the plan for the new bridge over the river. ",
                "zh": "委员会星期一开会讨论了在河上修建新桥的计划，并决定明年开工。", "ja": "委員会は月曜日に川に新しい橋を架ける計画について話し合いました。",
                "ko": "위원회는 월요일에 강 위에 새 다리를 놓는 계획을 논의하였다. "}
    write(out, "bad-markup", (HTML % (k, k, sentence[rng.choice(list(sentence))], rng.randrange(1, 9)) for k in range(200)))
    for language, text in sentence.items():
        write(out, "bad-repetition-" + language, (text * rng.randrange(6, 20) + str(k) for k in range(200)))
    for name, path in (("en", f"{args.benchmarks}/squad2_dev.json"), ("zh", f"{args.benchmarks}/cmrc2018_dev.squad-style.json"),
                       ("ja", f"{args.data}/text/ja/jglue/jsquad-v1.3-valid.json")):
        if not os.path.exists(path):
            continue
        end = {"en": ["...", "… Read more", " [...]"], "zh": ["……", "…查看全文", "...阅读全文"], "ja": ["…続きを読む", "…", "..."]}[name]
        texts = [t.split("[SEP]")[-1].strip() for t in squad_paragraphs(path)]
        write(out, "bad-truncated-" + name,
              (t[:rng.randrange(len(t) // 2, len(t) - 3)] + rng.choice(end) for t in texts if len(t) > 300))


def language_sets(out, args):
    """Snippets that begin at the beginning of a sentence, so that each is what its language writes."""
    sources = {}
    for name, path in (("en", f"{args.benchmarks}/squad2_dev.json"), ("zh", f"{args.benchmarks}/cmrc2018_dev.squad-style.json"),
                       ("zh-Hant", f"{args.data}/text/zh/drcd/DRCD_dev.json"), ("ja", f"{args.data}/text/ja/jglue/jsquad-v1.3-valid.json")):
        if os.path.exists(path):
            sources[name] = [t.split("[SEP]")[-1].strip() for t in squad_paragraphs(path)]
    path = f"{args.data}/text/ko/klue/klue-nli-v1.1_dev.json"
    if os.path.exists(path):
        sources["ko"] = [r["premise"] for r in load(path)]
    sentences = {name: [s.strip() for t in texts for s in re.split(r"(?<=[。！？.!?])\s*", t) if s.strip()] for name, texts in sources.items()}
    for length in (5, 10, 20, 50):
        rows = []
        for name, list_ in sorted(sentences.items()):
            pieces = list(dict.fromkeys(s[:length] for s in list_ if len(s) >= length))
            pieces = [p for p in pieces if sum(c.isalpha() for c in p) >= length // 2]
            # A snippet of a CJK text without any of its letters is no text of it.
            if name != "en":
                pieces = [p for p in pieces if any(ord(c) > 0x2FFF for c in p)]
            random.Random(3).shuffle(pieces)
            rows += [{"text": p, "language": name} for p in pieces[:1000]]
        write(out, f"language-{length}", rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--benchmarks", required=True)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    good_sets(args.out, args)
    bad_sets(args.out, args)
    language_sets(args.out, args)


if __name__ == "__main__":
    main()
