"""Checks that tokenizers which tigerbot wrote load elsewhere and give the same ids there.

    pip install tokenizers transformers sentencepiece safetensors numpy xllamacpp
    python tests/golden/check_new_tokenizers.py --tigerbot build/tigerbot FOLDER ... --text FILE ...

Every line of the texts (plain text, or JSON lines with "text") is encoded by tigerbot, tokenizers,
transformers, sentencepiece (where FOLDER has a tokenizer.model) and llama.cpp (xllamacpp, on a tiny
random model that `tigerbot convert` writes as GGUF), and decoded by transformers. Exits 1 on any
difference. --llama-python names another Python that has xllamacpp.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

LLAMA = """
import json, sys, urllib.request
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx = 64
params.warmup = False
server = xllamacpp.Server(params)
for line in sys.stdin:
    body = json.dumps({"content": json.loads(line), "add_special": False, "parse_special": True}).encode()
    request = urllib.request.Request(server.listening_address + "/tokenize", body, {"Content-Type": "application/json"})
    print(json.dumps(json.load(urllib.request.urlopen(request))["tokens"]), flush=True)
"""


def read_lines(files):
    lines = []
    for file in files:
        text = file.read_text(errors="replace")
        texts = [json.loads(row)["text"] for row in text.split("\n") if row] if ".jsonl" in file.name else [text]
        for text in texts:
            lines += [line for line in text.replace("\r", "").replace("\0", "").split("\n") if line]
    return lines


def tigerbot_ids(program, folder, lines):
    output = subprocess.run([program, "tokenizer", "encode", folder, "--lines", "--no-special-tokens"], input="\n".join(lines) + "\n", check=True, capture_output=True, text=True).stdout
    return [json.loads(row) for row in output.splitlines()]


def tiny_model(folder, pieces, into):
    """A random Llama of one layer that has the tokenizer."""
    import numpy
    from safetensors.numpy import save_file

    into.mkdir()
    for file in folder.iterdir():
        if file.is_file():
            (into / file.name).write_bytes(file.read_bytes())
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "vocab_size": pieces, "tie_word_embeddings": True, "torch_dtype": "float32", "bos_token_id": 1, "eos_token_id": 2}
    (into / "config.json").write_text(json.dumps(config))
    random = numpy.random.default_rng(0)
    shapes = {"model.embed_tokens.weight": (pieces, 64), "model.norm.weight": (64,), "model.layers.0.input_layernorm.weight": (64,), "model.layers.0.post_attention_layernorm.weight": (64,)}
    shapes |= {f"model.layers.0.self_attn.{name}_proj.weight": (64, 64) for name in "qkvo"}
    shapes |= {f"model.layers.0.mlp.{name}_proj.weight": (64, 64) for name in ("gate", "up", "down")}
    save_file({name: random.standard_normal(shape).astype("float32") for name, shape in shapes.items()}, into / "model.safetensors", metadata={"format": "pt"})


def llama_ids(options, folder, pieces, lines):
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        tiny_model(folder, pieces, work / "model")
        subprocess.run([options.tigerbot, "convert", work / "model", work / "model.gguf"], check=True, capture_output=True)
        result = subprocess.run([options.llama_python, "-c", LLAMA, work / "model.gguf"], input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(result.stderr[-2000:])
        return [json.loads(row) for row in result.stdout.splitlines() if row.startswith("[")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--tigerbot", default="build/tigerbot")
    parser.add_argument("--text", nargs="+", type=pathlib.Path, required=True)
    parser.add_argument("--llama-python", default=sys.executable)
    parser.add_argument("--llama-lines", type=int, default=20000, help="lines for llama.cpp, one request each")
    parser.add_argument("--no-llama", action="store_true")
    options = parser.parse_args()
    lines = read_lines(options.text)
    failed = False
    for folder in options.folders:
        ours = tigerbot_ids(options.tigerbot, folder, lines)
        pieces = 1 + max(max(ids) for ids in ours if ids)

        def compare(name, theirs, count=len(lines)):
            nonlocal failed
            wrong = [i for i in range(count) if ours[i] != theirs[i]]
            failed |= bool(wrong)
            print(f"{folder.name}: {name}: {count - len(wrong)} of {count} lines alike", *([repr(lines[wrong[0]][:80]), ours[wrong[0]][:12], theirs[wrong[0]][:12]] if wrong else []), flush=True)

        if (folder / "tokenizer.json").exists():
            from tokenizers import Tokenizer
            from transformers import AutoTokenizer

            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            pieces = tokenizer.get_vocab_size(with_added_tokens=True)
            compare("tokenizers", [e.ids for e in tokenizer.encode_batch(lines, add_special_tokens=False)])
            auto = AutoTokenizer.from_pretrained(folder)
            compare("transformers", auto(lines, add_special_tokens=False)["input_ids"])
            kept = sum(auto.decode(ids, clean_up_tokenization_spaces=False) == line for ids, line in zip(ours, lines))
            print(f"{folder.name}: {kept} of {len(lines)} lines come back from transformers")
        if (folder / "tokenizer.model").exists():
            import sentencepiece

            processor = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))
            pieces = processor.vocab_size()
            compare("sentencepiece", processor.encode(lines))
        if not options.no_llama:
            step = max(1, len(lines) // options.llama_lines)
            chosen = range(0, len(lines), step)
            theirs = llama_ids(options, folder, pieces, [lines[i] for i in chosen])
            wrong = [i for i, ids in zip(chosen, theirs) if ours[i] != ids]
            failed |= bool(wrong) or len(theirs) != len(chosen)
            print(f"{folder.name}: llama.cpp: {len(theirs) - len(wrong)} of {len(chosen)} lines alike", *[(repr(lines[i][:60]), ours[i][:10], theirs[i // step][:10]) for i in wrong[:3]], flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
