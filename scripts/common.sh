# shellcheck shell=bash
# Shared by the scripts; sourced, not run. Expects `set -euo pipefail`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# One clear line, and out.
die() {
  printf 'tigerbot: %s\n' "$*" >&2
  exit 1
}

say() { printf '%s\n' "$*" >&2; }

# The folder that base/files.h calls cache_folder().
cache_folder() {
  if [ -n "${TIGERBOT_CACHE:-}" ]; then
    printf '%s\n' "$TIGERBOT_CACHE"
  elif [[ "${XDG_CACHE_HOME:-}" == /* ]]; then
    printf '%s\n' "$XDG_CACHE_HOME/tigerbot"
  elif [ -n "${HOME:-}" ]; then
    printf '%s\n' "$HOME/.cache/tigerbot"
  else
    die "no home folder is known; set HOME or TIGERBOT_CACHE"
  fi
}

# Compilations at a time: one a core, but no more than memory has room for.
build_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1572864) }' /proc/meminfo 2>/dev/null)
  [ -n "$memory" ] && [ "$memory" -lt "$cores" ] && cores=$memory
  [ "$cores" -ge 1 ] || cores=1
  printf '%s\n' "$cores"
}

# build [TARGET...]: configures and builds the release preset; nothing on stdout. One status line
# on a terminal; elsewhere silence, and the end of the log if something fails.
build() {
  local log status=0
  log=$(mktemp)
  if ! (cd "$root" && cmake --preset release) >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    die "the build could not be configured (above)"
  fi
  if [ -t 2 ]; then
    NINJA_STATUS='Building [%f of %t] ' ninja -C "$root/build" -j "$(build_jobs)" "$@" >&2 || status=$?
  else
    say "Building in $root/build ..."
    ninja -C "$root/build" -j "$(build_jobs)" "$@" >"$log" 2>&1 || status=$?
    [ "$status" = 0 ] || grep -v '^\[' "$log" | tail -n 60 >&2
  fi
  rm -f "$log"
  [ "$status" = 0 ] || die "the build failed (above)"
}
