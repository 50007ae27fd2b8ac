#!/usr/bin/env bash
# Sets up, builds everything, fetches the models that tests read, and runs every test program.
# The last line is `N passed, N failed`; the exit status is 1 if anything failed.
#
#   ./test.sh             all folders
#   ./test.sh base ops    these folders only
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"

models=(smollm2-135m-instruct all-minilm-l6-v2)

"$root/scripts/setup.sh" --tests
build all
for model in "${models[@]}"; do
  "$root/build/tigerbot" pull "$model" >/dev/null
done

passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# run_program NAME PROGRAM: counts the tests that passed and failed. A program that dies on the way
# counts as one failure more, for the test that was running.
run_program() {
  local name=$1 program=$2 status=0 ok bad skip start=$SECONDS
  "$program" >"$log" 2>&1 || status=$?
  ok=$(grep -c '^\[       OK \]' "$log" || true)
  bad=$(grep -cE '^\[  FAILED  \] .*\([0-9]+ ms\)$' "$log" || true)
  skip=$(grep -cE '^\[  SKIPPED \] .*\([0-9]+ ms\)$' "$log" || true)
  if [ "$status" != 0 ] && { [ "$bad" = 0 ] || ! grep -q '^\[  PASSED  \]' "$log"; }; then
    bad=$((bad + 1))
  fi
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
  printf '%-14s %5d passed %3d failed   %ds\n' "$name" "$ok" "$bad" $((SECONDS - start))
  [ "$bad" = 0 ] || show_failures "$status"
}

# run_scripts NAME: the same for a folder of Python tests (unittest, of the standard library). Debian's own
# Python, where there is one: it has the packages that scripts/test_packages.txt installs.
python=/usr/bin/python3
[ -x "$python" ] || python=python3
run_scripts() {
  local name=$1 script status ok bad skip start=$SECONDS
  for script in "$root/tests/$name"/*_test.py; do
    status=0
    "$python" -B "$script" -v >"$log" 2>&1 || status=$?
    ok=$(grep -cE ' \.\.\. ok$' "$log" || true)
    bad=$(grep -cE ' \.\.\. (FAIL|ERROR)$' "$log" || true)
    skip=$(grep -cE ' \.\.\. skipped ' "$log" || true)
    [ "$status" = 0 ] || [ "$bad" != 0 ] || bad=1
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    printf '%-14s %5d passed %3d failed   %ds\n' "$name" "$ok" "$bad" $((SECONDS - start))
    [ "$bad" = 0 ] || tail -n 60 "$log"
  done
}

# The lines between "RUN" and "FAILED" of each test that failed, and the end of a crash.
show_failures() {
  awk '/^\[ RUN      \]/ { text = "" }
       { text = text $0 "\n" }
       /^\[       OK \]/ || /^\[  SKIPPED \]/ { text = "" }
       /^\[  FAILED  \] .*\([0-9]+ ms\)$/ { printf "%s", text; text = "" }' "$log" | head -n 200
  grep -q '^\[  PASSED  \]' "$log" || {
    printf 'ended with status %s in the middle; its last lines:\n' "$1"
    tail -n 20 "$log"
  }
}

mapfile -t all < <(ctest --test-dir "$root/build" -N | sed -n 's/^ *Test *#[0-9]*: //p')
[ "${#all[@]}" -gt 0 ] || die "the build has no tests"
[ $# -gt 0 ] || set -- "${all[@]}"
for name in "$@"; do
  program=$root/build/tests/$name/test_$name
  if compgen -G "$root/tests/$name/*_test.py" >/dev/null; then
    run_scripts "$name"
    continue
  fi
  [ -x "$program" ] || die "there is no test program for \"$name\"; the folders are: ${all[*]}"
  run_program "$name" "$program"
done

[ "$skipped" = 0 ] || printf '%d skipped\n' "$skipped"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
