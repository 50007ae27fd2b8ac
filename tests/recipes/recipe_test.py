#!/usr/bin/env python3
"""The whole chain of a recipe, from raw text to quantized models and their evaluation, in seconds:
run through once, and run again with kills at random moments, it ends with the same bytes."""

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIGERBOT = os.environ.get("TIGERBOT", str(ROOT / "build" / "tigerbot"))
RECIPE = ROOT / "tests" / "recipes" / "tiny" / "recipe.toml"
MODELS = ["base/result/final", "grown/result", "new-rows/result/final", "pretrained/result/final",
          "tuned/result/final", "4-bit/result", "8-bit/result"]

ENGLISH = "the a small large green river house tiger runs sleeps near under when and then it sees one two".split()
CHINESE = "的一是不了在有人我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年"


def write_text(folder):
    """Texts of two languages and instruction rows, the same every time."""
    draw = random.Random(7)
    with open(folder / "en.jsonl", "w", encoding="utf-8") as out:
        for _ in range(120):
            text = ". ".join(" ".join(draw.choices(ENGLISH, k=12)) for _ in range(6))
            out.write(json.dumps({"text": text, "language": "en"}) + "\n")
    with open(folder / "zh.jsonl", "w", encoding="utf-8") as out:
        for _ in range(120):
            text = "。".join("".join(draw.choices(CHINESE, k=14)) for _ in range(6))
            out.write(json.dumps({"text": text, "language": "zh"}, ensure_ascii=False) + "\n")
    with open(folder / "rows.jsonl", "w", encoding="utf-8") as out:
        for k in range(60):
            out.write(json.dumps({"instruction": f"Repeat {draw.choice(ENGLISH)} {k}", "output": f"again {k}"}) + "\n")


def digests(folder):
    """Every file of weights and tokenizers of every model."""
    found = {}
    for model in MODELS:
        for path in sorted((folder / "out" / model).iterdir()):
            if path.suffix in (".safetensors", ".jinja") or path.name.startswith("tokenizer"):
                found[f"{model}/{path.name}"] = path.read_bytes()
    return found


class WholeRecipe(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tigerbot-recipe-"))

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, folder, *options):
        return [TIGERBOT, "run", str(RECIPE), "--set", f"folder={folder}", *options]

    def run_whole(self, folder, *options):
        return subprocess.run(self.command(folder, *options), capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": "2"})

    def test_same_bytes_after_kills_at_random_moments(self):
        whole, killed = self.folder / "whole", self.folder / "killed"
        for folder in (whole, killed):
            folder.mkdir()
            write_text(folder)
        done = self.run_whole(whole)
        self.assertEqual(done.returncode, 0, done.stderr)
        expected = digests(whole)
        self.assertGreater(len([name for name in expected if name.endswith(".safetensors")]), 6)

        # The moments follow what stages have been reached, not the clock alone: whatever the
        # machine's speed, kills fall into many of them.
        draw, kills = random.Random(11), 0
        for stage in ["words", "base", "data", "grown", "pretrained", "pretrained", "tuned", "4-bit", "evaluation"]:
            run = subprocess.Popen(self.command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, "OMP_NUM_THREADS": "2"})
            while run.poll() is None and not list((killed / "out" / ".work").glob(f"{stage}-*")):
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.6))
            if run.poll() is None:
                run.send_signal(signal.SIGKILL)
                kills += 1
            run.wait()
        done = self.run_whole(killed)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(kills, 2)
        self.assertEqual(set(digests(killed)), set(expected))
        for name, data in digests(killed).items():
            self.assertEqual(data, expected[name], name)

        again = self.run_whole(whole)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(again.stderr.count("up to date"), 12, again.stderr)
        self.check_report(whole)

    def check_report(self, folder):
        comparison = json.loads((folder / "out/evaluation/result/comparison.json").read_text())
        self.assertEqual([m["name"] for m in comparison["models"]],
                         ["base", "grown", "pretrained", "tuned", "4-bit", "8-bit"])
        base, trained = comparison["models"][0]["languages"], comparison["models"][2]["languages"]
        for language in ("en", "zh"):
            self.assertLess(trained[language]["perplexity_per_byte"], base[language]["perplexity_per_byte"])
        self.assertGreater(trained["zh"]["characters_per_token"], base["zh"]["characters_per_token"])
        page = (folder / "out/report.html").read_text()
        for part in ("Bits a byte", "Training loss", "SHA-256", "peak_memory", "七是什么？"):
            self.assertIn(part, page)
        self.assertNotIn("src=\"http", page)
        report = json.loads((folder / "out/report.json").read_text())
        self.assertEqual(len(report["stages"]), 12)
        for stage in report["stages"]:
            self.assertGreater(stage["cost"]["peak_memory"], 0)

    def test_dry_run_checks_every_key(self):
        write_text(self.folder)
        plan = self.run_whole(self.folder, "--dry-run", "--json")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        stages = {stage["name"]: stage for stage in json.loads(plan.stdout)["stages"]}
        self.assertEqual(stages["pretrained"]["training"]["steps"], 50)
        wrong = self.folder / "wrong.toml"
        for right, mistake, message in [
                ("learning_rate = 1e-2", "learning_rat = 1e-2", "learning_rate"),
                ("\"--bits\", \"4\"", "\"--bit\", \"4\"", "--bits"),
                ("kind = \"normalize\"", "kind = \"normalise\"", "normalize"),
                ("[stage.budget]", "[stage.budjet]", "budget")]:
            text = RECIPE.read_text().replace("{here}", str(RECIPE.parent))
            self.assertIn(right, text)
            wrong.write_text(text.replace(right, mistake))
            result = subprocess.run([TIGERBOT, "run", str(wrong), "--dry-run", "--set", f"folder={self.folder}"],
                                    capture_output=True, text=True)
            self.assertEqual(result.returncode, 2, mistake)
            self.assertIn(f"did you mean \"{message}\"", result.stderr, mistake)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()
