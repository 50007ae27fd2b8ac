"""Checks that what `tigerbot convert` writes loads in transformers and llama.cpp with the same logits.

    python tests/golden/check_conversions.py TIGERBOT LLAMA_CPP_BIN SMOLLM2_GGUF MINILM_FOLDER

TIGERBOT is the program, LLAMA_CPP_BIN the folder with llama-server and llama-quantize, the others the
published SmolLM2-135M-Instruct and all-MiniLM-L6-v2. Needs torch, transformers, sentencepiece, gguf and safetensors;
not a part of test.sh.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

import gguf
import numpy as np
import sentencepiece
import torch
import transformers
from safetensors.torch import load_file

TIGERBOT, LLAMA_BIN, SMOLLM2, MINILM = (pathlib.Path(p).resolve() for p in sys.argv[1:5])
TEXTS = [
    "How do I list files in Linux?",
    "  two spaces, tabs\t\tand\n\nlines\r\n 12345 67,89.01",
    "你好，老虎！こんにちは 안녕하세요 Привет مرحبا हिन्दी ไทย",
    "emoji 👩‍👩‍👧‍👦🏳️‍🌈 café naïve Å ﬁ ① ½",
    "def f(x):\n    return {'a': x**2}  # it's we'll I'M",
]
failures = []


def check(name, ok, detail=""):
    print(f"{'ok  ' if ok else 'FAIL'} {name} {detail}", flush=True)
    if not ok:
        failures.append(name)


def convert(*args):
    result = subprocess.run([TIGERBOT, "convert", *map(str, args)], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)


class Server:
    """llama-server with one model."""

    def __init__(self, model, *options, port=18431):
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [LLAMA_BIN / "llama-server", "-m", model, "--port", str(port), "-c", "512", "-t", "2", "-ctk", "f32",
             "-ctv", "f32", "-fa", "off", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                if json.load(urllib.request.urlopen(self.url + "/health"))["status"] == "ok":
                    return
            except Exception:
                pass
            if self.process.poll() is not None:
                raise RuntimeError(f"llama-server refused {model}")
            time.sleep(0.1)

    def post(self, path, **body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double()


def check_llama_cpp(name, path, model, tokenizer, bound):
    """Log probabilities of the next token, the ten best, and the tokenizer's ids."""
    with Server(path) as server:
        ids = list(range(100, 148))
        answer = server.post("/completion", prompt=ids, n_predict=1, n_probs=10, temperature=0.0, cache_prompt=False)
        top = answer["completion_probabilities"][0]["top_logprobs"]
        expected = torch.log_softmax(logits_of(model, ids)[-1], -1)
        worst = max(abs(entry["logprob"] - expected[entry["id"]].item()) for entry in top)
        check(f"{name}: llama.cpp's log probabilities", worst < bound, f"off by {worst:.1e}")
        for text in TEXTS:
            theirs = server.post("/tokenize", content=text, add_special=True, parse_special=False)["tokens"]
            ours = tokenizer(text)["input_ids"]
            if theirs != ours:
                check(f"{name}: llama.cpp's ids", False, f"{text!r}: {theirs} and {ours}")
                return
        check(f"{name}: llama.cpp's ids", True)


def variants():
    llama = dict(vocab_size=49152, hidden_size=96, intermediate_size=160, num_hidden_layers=2, num_attention_heads=6,
                 num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.3, bos_token_id=1,
                 eos_token_id=2, pad_token_id=2)
    T = transformers
    yield "llama", T.LlamaForCausalLM(T.LlamaConfig(**llama, rope_theta=50000.0, tie_word_embeddings=False))
    yield "llama tied", T.LlamaForCausalLM(T.LlamaConfig(**llama, tie_word_embeddings=True))
    scaling = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64, rope_theta=10000.0)
    yield "llama3 rope", T.LlamaForCausalLM(T.LlamaConfig(**{**llama, "head_dim": 32}, rope_parameters=scaling))
    yield "linear rope", T.LlamaForCausalLM(
        T.LlamaConfig(**llama, rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=10000.0)))
    yarn = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=128, rope_theta=10000.0)
    yield "yarn rope", T.Qwen2ForCausalLM(T.Qwen2Config(**llama, rope_parameters=yarn))
    yield "mistral", T.MistralForCausalLM(T.MistralConfig(**llama, sliding_window=None))
    yield "qwen2", T.Qwen2ForCausalLM(T.Qwen2Config(**llama))
    yield "qwen3", T.Qwen3ForCausalLM(T.Qwen3Config(**{**llama, "head_dim": 32}))
    yield "bloom", T.BloomForCausalLM(T.BloomConfig(vocab_size=49152, hidden_size=96, n_layer=2, n_head=6,
                                                    initializer_range=0.3, bos_token_id=1, eos_token_id=2))


def randomize(model):
    """Norms and biases too: defaults of one and zero would hide a tensor in the wrong place."""
    torch.manual_seed(7)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            base = 1.0 if "norm" in name.lower() or "ln_f" in name else 0.0
            parameter.data = base * (name.endswith("weight")) + 0.2 * torch.randn_like(parameter)
    return model.eval().float()


def check_variant(work, name, model, tokenizer):
    source = work / name.replace(" ", "_")
    model = randomize(model)
    model.save_pretrained(source)
    tokenizer.save_pretrained(source)
    file = source.with_suffix(".gguf")
    convert(source, file)
    back = work / (source.name + "_back")
    convert(file, back, "--dtype", "float32")

    before = load_file(source / "model.safetensors")
    after = load_file(back / "model.safetensors")
    strip = lambda key: key.removeprefix("transformer.").removeprefix("model.")
    after = {strip(key): value for key, value in after.items()}
    before = {strip(key): value for key, value in before.items()}
    same = before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    check(f"{name}: every tensor comes back with its bits", same, "" if same else str(before.keys() ^ after.keys()))

    ids = list(range(100, 148))
    expected = logits_of(model, ids)
    again = transformers.AutoModelForCausalLM.from_pretrained(back, dtype=torch.float32).eval()
    off = ((logits_of(again, ids) - expected).abs().max() / expected.abs().max()).item()
    check(f"{name}: transformers' logits of the way there and back", off < 1e-4, f"off by {off:.1e}")
    check_llama_cpp(name, file, model, tokenizer, 5e-3)


def check_sentencepiece(work, smollm2):
    """A Llama with a SentencePiece tokenizer: tokenizer.model -> GGUF -> tokenizer.json."""
    corpus = work / "corpus.txt"
    corpus.write_text("\n".join(TEXTS * 40 + [pathlib.Path(transformers.__file__).read_text()[:60000]]))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(work / "tokenizer"), vocab_size=1000, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.98,
        allow_whitespace_only_pieces=True, split_digits=True, minloglevel=2)
    model = randomize(transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=1024, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.3)))
    source = work / "sentencepiece"
    model.save_pretrained(source)
    (source / "tokenizer.model").write_bytes((work / "tokenizer.model").read_bytes())
    (source / "tokenizer_config.json").write_text(json.dumps(
        dict(tokenizer_class="LlamaTokenizer", bos_token="<s>", eos_token="</s>", unk_token="<unk>")))
    convert(source, work / "sentencepiece.gguf")
    convert(work / "sentencepiece.gguf", work / "sentencepiece_back")
    tokenizer = transformers.AutoTokenizer.from_pretrained(work / "sentencepiece_back")
    reference = sentencepiece.SentencePieceProcessor(model_file=str(work / "tokenizer.model"))
    for text in TEXTS:
        expected = [1] + reference.encode(text)
        ours = tokenizer(text)["input_ids"]
        if expected != ours:
            check("sentencepiece: ids", False, f"{text!r}: {expected} and {ours}")
            break
    else:
        check("sentencepiece: ids", True)
    check_llama_cpp("sentencepiece", work / "sentencepiece.gguf", model, tokenizer, 5e-3)


def check_smollm2(work):
    """The published model: GGUF -> Hugging Face with float32, its tokenizer and template."""
    folder = work / "smollm2"
    convert(SMOLLM2, folder, "--dtype", "float32", "--max-shard-size", "100MB")
    check("SmolLM2: shards", len(list(folder.glob("model-*.safetensors"))) >= 5)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(SMOLLM2.parent, gguf_file=SMOLLM2.name,
                                                              dtype=torch.float32).eval()
    ids = tokenizer(TEXTS[0])["input_ids"]
    expected = logits_of(theirs, ids)
    off = ((logits_of(model, ids) - expected).abs().max() / expected.abs().max()).item()
    check("SmolLM2: logits of transformers' own GGUF reader", off < 1e-5, f"off by {off:.1e}")
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False)
    check("SmolLM2: chat template", prompt.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"))
    check("SmolLM2: end of answer", model.generation_config.eos_token_id == 2)
    f32 = work / "smollm2-f32.gguf"
    convert(folder, f32)
    check_llama_cpp("SmolLM2 F32", f32, model, tokenizer, 5e-3)
    for kind in ("q8_0", "q4_0", "q4_1"):
        ours, reference = work / f"ours-{kind}.gguf", work / f"reference-{kind}.gguf"
        convert(folder, ours, "--type", kind)
        subprocess.run([LLAMA_BIN / "llama-quantize", "--token-embedding-type", "q8_0", "--pure", f32, reference, kind, "2"],
                       check=True, capture_output=True)
        tensors = {t.name: t for t in gguf.GGUFReader(reference).tensors}
        different = total = 0
        for tensor in gguf.GGUFReader(ours).tensors:
            theirs_data = tensors[tensor.name]
            check_type = tensor.tensor_type == theirs_data.tensor_type
            if not check_type:
                check(f"SmolLM2 {kind}: type of {tensor.name}", False, f"{tensor.tensor_type} {theirs_data.tensor_type}")
                continue
            different += int((np.asarray(tensor.data) != np.asarray(theirs_data.data)).sum())
            total += tensor.data.size
        # A native build fuses x * id + 8.5, which moves a value that lies on the edge.
        check(f"SmolLM2 {kind}: llama-quantize's bytes", different / total < 1e-5, f"{different} of {total} differ")
        answers = []
        for file in (ours, reference):
            with Server(file) as server:
                answers.append(server.post("/completion", prompt=tokenizer("The capital of France is")["input_ids"],
                                           n_predict=8, temperature=0.0)["content"])
        check(f"SmolLM2 {kind}: llama.cpp answers as with its own file", answers[0] == answers[1], repr(answers[0]))
    return tokenizer


def check_minilm(work):
    """An encoder: sentence vectors of llama.cpp, and of transformers after the way there and back."""
    file, back = work / "minilm.gguf", work / "minilm_back"
    convert(MINILM, file)
    convert(file, back)
    before, after = load_file(MINILM / "model.safetensors"), load_file(back / "model.safetensors")
    check("MiniLM: every tensor comes back with its bits", all(torch.equal(before[k], v) for k, v in after.items()))
    tokenizer = transformers.AutoTokenizer.from_pretrained(MINILM)
    again = transformers.AutoTokenizer.from_pretrained(back)
    model = transformers.AutoModel.from_pretrained(back, dtype=torch.float32).eval()
    check("MiniLM: ids", all(tokenizer(text)["input_ids"] == again(text)["input_ids"] for text in TEXTS))
    with Server(file, "--embeddings", "--pooling", "mean") as server:
        worst = 1.0
        for text in TEXTS[:1] + ["A tiger sleeps in the long grass.", "Sentence vectors, compared!"]:
            with torch.no_grad():
                ours = model(**again(text, return_tensors="pt")).last_hidden_state[0].mean(0)
            theirs = torch.tensor(server.post("/v1/embeddings", input=text)["data"][0]["embedding"])
            worst = min(worst, torch.cosine_similarity(ours, theirs, dim=0).item())
    check("MiniLM: llama.cpp's sentence vectors", worst > 0.9999, f"cosine {worst:.6f}")


with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    check_minilm(work)
    tokenizer = check_smollm2(work)
    check_sentencepiece(work, tokenizer)
    for name, model in variants():
        check_variant(work, name, model, tokenizer)
print(f"{len(failures)} failed")
sys.exit(bool(failures))
