#!/usr/bin/env bash
# Fuzzes one parser: scripts/fuzz.sh NAME SECONDS [libFuzzer options], NAME one of
# safetensors, gguf, tokenizer_json, sentencepiece, chat_template, html, warc, json_lines, wikipedia,
# compression, http_request, api_request, answer_format. Needs clang. The corpus that grows is kept in
# build-fuzz/corpus/NAME; what crashes is written to build-fuzz/found/NAME-*.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -lt 2 ]; then
  sed -n '2,6s/^# //p' "$0" >&2
  exit 2
fi
name=$1 seconds=$2
shift 2
build=${TIGERBOT_FUZZ_BUILD:-build-fuzz}
[ -f "$build/build.ninja" ] || cmake --preset fuzz -B "$build" >/dev/null
ninja -C "$build" "fuzz_$name" >&2
mkdir -p "$build/corpus/$name" "$build/found"
dictionary=()
[ -f "tests/fuzz/seeds/$name.dict" ] && dictionary=("-dict=tests/fuzz/seeds/$name.dict")
# The first pattern of a tokenizer asks PCRE2 about every code point: seconds on a busy core, hence 120.
exec "$build/tests/fuzz/fuzz_$name" "$build/corpus/$name" "tests/fuzz/seeds/$name" \
  -max_total_time="$seconds" -artifact_prefix="$build/found/$name-" -print_final_stats=1 \
  -max_len=65536 -timeout=120 -rss_limit_mb=2048 "${dictionary[@]}" "$@"
