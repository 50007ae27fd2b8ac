"""What quantizing costs a model: perplexity by language on held-out text, ours beside llama.cpp's.

    python bench/quantization_quality.py MODEL --tigerbot build/tigerbot --llama-cpp FOLDER/bin
        --corpus ~/.cache/tigerbot/corpus [--languages en,zh,ja,ko] [--bytes 40000] [--work DIR]

MODEL is a Hugging Face directory in bfloat16 whose weights never were quantized, such as what
bench/rotate_residual.py makes of SmolLM2. Of the corpus
(JSON lines of "text", one file a language) the documents whose SHA-256 begins with 0 are held out;
the others calibrate. All models are measured by `tigerbot eval --perplexity`: the same text, tokens
and windows. Embedding and output layer stay bfloat16 in all of them, llama.cpp's too, so that the
rows differ in the linear layers alone; bits a weight are those layers', scales, zeros and groups
counted. "loss" is the perplexity's rise over bfloat16's. Rows that are there from an earlier run of
the same --work, text and type are not measured again. Needs the `gguf` package.
"""

import argparse
import hashlib
import json
import math
import pathlib
import subprocess
import sys

from gguf import GGUFReader

OURS = {
    "round to nearest, groups of 32": ["--method", "round-to-nearest"],
    "round to nearest, groups of 32, symmetric": ["--method", "round-to-nearest", "--symmetric"],
    "GPTQ, groups of 32": [],
    "GPTQ, groups of 32, symmetric": ["--symmetric"],
    "GPTQ, groups of 64": ["--group-size", "64"],
    "W8A16, by row": ["--method", "w8a16"],
    "W8A16, groups of 32": ["--method", "w8a16", "--group-size", "32"],
}
LLAMA_CPP = ["Q4_0", "Q4_1", "Q4_K_M", "Q8_0"]


def run(command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


def split_corpus(corpus, languages, work, size):
    """Held-out text and calibration rows of each language, the same whenever it is called."""
    for language in languages:
        held_out, calibration = [], []
        for line in (corpus / f"{language}.jsonl").open(encoding="utf-8"):
            text = json.loads(line)["text"]
            digest = hashlib.sha256(text.encode()).hexdigest()
            (held_out if digest[0] == "0" else calibration).append((digest, line, text))
        held_out.sort()
        calibration.sort()
        whole = "\n\n".join(text[:8000] for _, _, text in held_out).encode()[:size]
        (work / f"{language}.txt").write_bytes(whole.decode(errors="ignore").encode())
        with (work / f"{language}.jsonl").open("w", encoding="utf-8") as file:
            written = 0
            for _, line, _ in calibration:
                file.write(line)
                written += len(line)
                if written > 4_000_000:
                    break


def measure(options, model, languages):
    figures = {}
    for language in languages:
        answer = run([options.tigerbot, "eval", model, "--perplexity",
                      options.work / f"{language}.txt", "--context", "512", "--dtype",
                      options.dtype, "--json"],
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        measured = json.loads(answer)
        figures[language] = {key: measured[key] for key in ("nll", "tokens")}
    return figures


def gguf_bits(path):
    linear = [t for t in GGUFReader(path).tensors
              if t.name.startswith("blk.") and len(t.shape) == 2]
    return 8 * sum(t.n_bytes for t in linear) / sum(t.n_elements for t in linear)


def gptq_bits(path):
    report = json.loads((path / "quantization_report.json").read_text())
    weights = sum(row["in_features"] * row["out_features"] for row in report["layers"])
    return 8 * report["bytes"]["layers_after"] / weights


def name_of_file(name):
    return "".join(c if c.isalnum() else "-" for c in name)


def make(options, name, languages):
    """The model of a row, and its bits a weight."""
    target = options.work / name_of_file(name)
    if name == "bfloat16":
        return options.model, 16.0
    if name in OURS:
        if not target.exists():
            calibration = [] if "--method" in OURS[name] else [
                "--calibration", *(f"{l}={options.work / l}.jsonl" for l in languages)]
            run([options.tigerbot, "quantize", options.model, target, *OURS[name], *calibration],
                stdout=subprocess.DEVNULL)
        return target, gptq_bits(target)
    target = target.with_suffix(".gguf")
    whole = options.work / "bfloat16.gguf"
    if not whole.exists():
        run([options.tigerbot, "convert", options.model, whole, "--dtype", "bfloat16"])
    if not target.exists():
        run([options.llama_cpp / "llama-quantize", "--token-embedding-type", "bf16",
             "--output-tensor-type", "bf16", whole, target, name.removeprefix("llama.cpp ")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return target, gguf_bits(target)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--tigerbot", type=pathlib.Path, required=True)
    parser.add_argument("--llama-cpp", type=pathlib.Path, required=True)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--languages", default="en", help="zh,en,...: held out and calibrated with")
    parser.add_argument("--bytes", type=int, default=40_000, help="held-out text of a language")
    parser.add_argument("--dtype", default="bfloat16", help="of activations")
    parser.add_argument("--only", default="", help="rows whose names hold one of these, by commas")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("quantization-quality"))
    options = parser.parse_args()
    languages = options.languages.split(",")
    options.work.mkdir(parents=True, exist_ok=True)
    split_corpus(options.corpus, languages, options.work, options.bytes)
    store = options.work / f"figures-{options.languages}-{options.bytes}-{options.dtype}.json"
    rows = json.loads(store.read_text()) if store.exists() else {}
    names = ["bfloat16", *OURS, *(f"llama.cpp {kind}" for kind in LLAMA_CPP)]
    wanted = options.only.split(",")
    for name in names:
        if name in rows or not (name == "bfloat16" or any(word in name for word in wanted)):
            continue
        model, bits = make(options, name, languages)
        rows[name] = {"bits": bits, "figures": measure(options, model, languages)}
        store.write_text(json.dumps(rows, indent=1))
        print(name, rows[name], file=sys.stderr)
    print("| model | bits a weight |" + "".join(f" {l} | loss |" for l in languages))
    print("|---|---|" + "---|---|" * len(languages))
    for name in names:
        if name not in rows:
            continue
        line = f"| {name} | {rows[name]['bits']:.2f} |"
        for language in languages:
            nll = lambda row: row["figures"][language]["nll"] / row["figures"][language]["tokens"]
            base, now = nll(rows["bfloat16"]), nll(rows[name])
            line += f" {math.exp(now):.4f} | {100 * (math.exp(now - base) - 1):+.2f}% |"
        print(line)


if __name__ == "__main__":
    main()
