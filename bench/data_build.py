#!/usr/bin/env python3
"""`tigerbot data build` from files to shards: MB/s, documents/s and peak memory, on one thread, two
threads and two ranks, taking turns; and that all of them give the same bytes.

    bench/data_build.py --tigerbot build/tigerbot docs.jsonl [--repeat 3]

Each run is from nothing: its output folder is new. Only Python's standard library is needed."""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

RECIPE = """[run]
output = "{output}"
seed = 1
[[source]]
name = "bench"
files = {files}
[[stage]]
kind = "normalize"
[[stage]]
kind = "language"
[[stage]]
kind = "rules"
[[stage]]
kind = "exact_duplicates"
[[stage]]
kind = "near_duplicates"
[output]
shard_bytes = "16 MiB"
validation = 0.01
"""

CONFIGURATIONS = {
    "1 thread": ([], 1),
    "2 threads": ([], 2),
    "2 ranks": (["mpirun", "--oversubscribe", "-n", "2"], 1),
}


def run(folder, name, tigerbot, files):
    """Seconds, peak bytes of a process, digest of the output, the report."""
    launcher, threads = CONFIGURATIONS[name]
    output = os.path.join(folder, "out")
    shutil.rmtree(output, ignore_errors=True)
    recipe = os.path.join(folder, "recipe.toml")
    with open(recipe, "w") as out:
        out.write(RECIPE.format(output=output, files=json.dumps(files)))
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    command = launcher + [tigerbot, "data", "build", recipe, "--threads", str(threads)]
    start = time.monotonic()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    errors = child.stderr.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors}")
    digest = hashlib.sha256()
    for file in sorted(os.listdir(output)):
        if file.endswith(".jsonl.zst") or file == "manifest.json":
            digest.update(open(os.path.join(output, file), "rb").read())
    report = json.load(open(os.path.join(output, "report.json")))
    return seconds, usage.ru_maxrss * 1024, digest.hexdigest(), report


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tigerbot", default="build/tigerbot")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("files", nargs="+", help="JSON lines")
    arguments = parser.parse_args()
    files = [os.path.abspath(file) for file in arguments.files]
    size = sum(os.path.getsize(file) for file in files)
    seconds = {name: [] for name in CONFIGURATIONS}
    memory = {name: 0 for name in CONFIGURATIONS}
    phases = {name: [] for name in CONFIGURATIONS}
    digests = set()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.repeat):
            for name in CONFIGURATIONS:
                took, peak, digest, report = run(folder, name, arguments.tigerbot, files)
                seconds[name].append(took)
                phases[name].append(dict(report["seconds"], rest=took - sum(report["seconds"].values())))
                memory[name] = max(memory[name], peak)
                digests.add(digest)
    documents = sum(amount["documents"] for amount in report["funnel"][0]["languages"].values())
    print(f"{size / 1e6:.1f} MB, {documents:,} documents; "
          f"{'all outputs the same bytes' if len(digests) == 1 else 'OUTPUTS DIFFER'}")
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"{name:10} {middle:6.2f} s ({min(times):.2f} to {max(times):.2f})  "
              f"{size / 1e6 / middle:6.1f} MB/s  {documents / middle:8,.0f} documents/s  "
              f"peak {memory[name] / 2**20:5.0f} MiB a process")
    print("medians by phase, s; the rest is the start of the programs and the report:")
    for name, runs in phases.items():
        print(f"{name:10} " + ", ".join(f"{phase} {statistics.median(r[phase] for r in runs):.2f}" for phase in runs[0]))


if __name__ == "__main__":
    main()
