"""What quantizing an encoder costs: sentence vectors of the quantized model beside the model's own.

    python bench/sentence_vectors.py MODEL --tigerbot build/tigerbot --corpus ~/.cache/tigerbot/corpus
        [--language en] [--sentences 2000] [--work DIR]

MODEL is a BERT encoder as a Hugging Face directory or a name that `tigerbot pull` knows, such as
all-minilm-l6-v2. Of the corpus (JSON lines of "text") the documents whose SHA-256 begins with 0 give
the sentences, the others calibrate (128 samples of 128 tokens). Every row is measured twice, both
times beside the model's own vectors in float32: with float32 activations (what the weights lose) and
with bfloat16 ones, which products round to 8 bits (what runs by default where the model is
bfloat16). "nearest" is the share of sentences whose most similar other sentence stays the same.
"""

import argparse
import hashlib
import json
import pathlib
import re
import subprocess

import numpy

METHODS = {
    "round to nearest, 4 bits, groups of 32": ["--method", "round-to-nearest"],
    "GPTQ, 4 bits, groups of 32": [],
    "GPTQ, 4 bits, groups of 32, symmetric": ["--symmetric"],
    "GPTQ, 4 bits, groups of 128": ["--group-size", "128"],
    "W8A16, by row": ["--method", "w8a16"],
    "W8A16, groups of 32": ["--method", "w8a16", "--group-size", "32"],
}


def run(command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def read_corpus(file, sentences):
    """Sentences of held-out documents, at most three of each, and calibration rows."""
    held_out, calibration = [], []
    for line in file.open(encoding="utf-8"):
        text = json.loads(line)["text"]
        digest = hashlib.sha256(text.encode()).hexdigest()
        (held_out if digest[0] == "0" else calibration).append((digest, line, text))
    held_out.sort()
    calibration.sort()
    chosen = []
    for _, _, text in held_out:
        flat = re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(text.split()))
        chosen += [part for part in flat if 40 <= len(part) <= 300][:3]
    return list(dict.fromkeys(chosen))[:sentences], [line for _, line, _ in calibration[:400]]


def vectors(options, model, dtype):
    output = options.work / "vectors.jsonl"
    run([options.tigerbot, "embed", model, "--input", options.work / "sentences.jsonl", "--output",
         output, "--dtype", dtype])
    rows = [json.loads(line)["embedding"] for line in output.open(encoding="utf-8")]
    result = numpy.array(rows, dtype=numpy.float64)
    return result / numpy.linalg.norm(result, axis=1, keepdims=True)


def nearest(all_vectors):
    likeness = all_vectors @ all_vectors.T
    numpy.fill_diagonal(likeness, -1)
    return likeness.argmax(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--tigerbot", type=pathlib.Path, required=True)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--language", default="en")
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("sentence-vectors"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    sentences, calibration = read_corpus(options.corpus / f"{options.language}.jsonl",
                                         options.sentences)
    with (options.work / "sentences.jsonl").open("w", encoding="utf-8") as file:
        for sentence in sentences:
            file.write(json.dumps({"text": sentence}, ensure_ascii=False) + "\n")
    (options.work / "calibration.jsonl").write_text("".join(calibration), encoding="utf-8")

    own = vectors(options, options.model, "float32")
    neighbours = nearest(own)
    rows = {"as it is": (32.0, options.model)}
    for name, words in METHODS.items():
        target = options.work / "".join(c if c.isalnum() else "-" for c in name)
        if not target.exists():
            if "--method" not in words:
                words = [*words, "--calibration", options.work / "calibration.jsonl", "--samples",
                         128, "--context", 128]
            run([options.tigerbot, "quantize", options.model, target, *words])
        report = json.loads((target / "quantization_report.json").read_text())
        weights = sum(row["in_features"] * row["out_features"] for row in report["layers"])
        rows[name] = (8 * report["bytes"]["layers_after"] / weights, target)
    print(f"{len(sentences)} sentences")
    print("| linear layers | bits a weight | float32: mean cosine | lowest 1% | nearest |"
          " bfloat16: mean cosine | lowest 1% | nearest |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (bits, model) in rows.items():
        cells = []
        for dtype in ("float32", "bfloat16"):
            now = vectors(options, model, dtype)
            cosine = (own * now).sum(1)
            same = (nearest(now) == neighbours).mean()
            cells.append(f"{cosine.mean():.5f} | {numpy.quantile(cosine, 0.01):.5f} | {same:.1%}")
        print(f"| {name} | {bits:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
