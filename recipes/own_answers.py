#!/usr/bin/env python3
"""A model's own answers as instruction rows: mixed into its training they keep it from forgetting
what it could do.

    recipes/own_answers.py --model smollm2-135m-instruct --prompts recipes/prompts.txt --out DIR

Asks every prompt of the file (one a line), keeps the answers that came to an end by themselves, and
writes train.jsonl (rows of instruction, output, language, kind) and report.html. The same model and
seed give the same bytes. Needs the program `tigerbot` (--tigerbot PATH, or in $PATH).
"""

import argparse
import html
import json
import subprocess
import sys
from pathlib import Path


def die(message):
    sys.exit(f"tigerbot: {message}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a directory, a .gguf file, or a name that pull knows")
    parser.add_argument("--prompts", type=Path, required=True, help="a file of prompts, one a line")
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows")
    parser.add_argument("--language", default="en", help="of prompts and answers (en)")
    parser.add_argument("--max-new-tokens", type=int, default=192, help="longest answer (192)")
    parser.add_argument("--temperature", type=float, default=0.2)
    parser.add_argument("--top-p", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tigerbot", default="tigerbot", help="the program")
    arguments = parser.parse_args()
    try:
        prompts = [line.strip() for line in arguments.prompts.read_text(encoding="utf-8").splitlines() if line.strip()]
        arguments.out.mkdir(parents=True, exist_ok=True)
    except (OSError, UnicodeDecodeError) as error:
        die(f"{error}")
    if not prompts:
        die(f"{arguments.prompts}: there is no prompt")
    asked, answered = arguments.out / "prompts.jsonl", arguments.out / "answers.jsonl"
    asked.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts), encoding="utf-8")
    command = [arguments.tigerbot, "generate", arguments.model, "--input", str(asked), "--output", str(answered),
               "--max-new-tokens", str(arguments.max_new_tokens), "--temperature", str(arguments.temperature),
               "--top-p", str(arguments.top_p), "--seed", str(arguments.seed)]
    try:
        status = subprocess.run(command).returncode
    except OSError as error:
        die(f"{arguments.tigerbot}: cannot be started: {error.strerror}")
    if status != 0:
        sys.exit(status if status > 0 else 1)
    rows = []
    for line in answered.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["finish_reason"] == "stop" and row["text"].strip():
            rows.append({"instruction": row["prompt"], "output": row["text"].strip(),
                         "language": arguments.language, "kind": "own answers"})
    if not rows:
        die("no answer came to an end; give a larger --max-new-tokens")
    with open(arguments.out / "train.jsonl", "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    asked.unlink()
    answered.unlink()
    table = "".join(f"<tr><td>{html.escape(row['instruction'])}</td><td>{html.escape(row['output'])}</td></tr>"
                    for row in rows)
    (arguments.out / "report.html").write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Own answers</title><style>"
        ":root{color-scheme:light dark}body{font:14px/1.5 system-ui,sans-serif}"
        "td{padding:4px 14px 4px 0;vertical-align:top;white-space:pre-wrap;border-bottom:1px solid #8884}</style>"
        f"<p>{len(rows)} of {len(prompts)} answers of {html.escape(arguments.model)} came to an end within "
        f"{arguments.max_new_tokens} tokens and are kept.</p><table>{table}</table></html>\n", encoding="utf-8")
    print(json.dumps({"prompts": len(prompts), "rows": len(rows)}))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        die("stopped; run it again to go on")
