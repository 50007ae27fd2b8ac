#!/usr/bin/env bash
# Makes this machine ready to build TigerBot: the packages in packages.txt, and LibTorch and Arrow in
# the user's cache folder. Does only what is missing: a second run takes a second.
#
#   scripts/setup.sh                            packages, LibTorch and Arrow
#   scripts/setup.sh --no-packages              LibTorch and Arrow only (packages come from elsewhere)
#   scripts/setup.sh --no-arrow                 without Arrow: TigerBot then reads no Parquet
#   scripts/setup.sh --tests                    also what only tests need (a browser)
#   TIGERBOT_LIBTORCH=DIR scripts/setup.sh      without LibTorch; DIR holds include/ and lib/
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"

with_packages=yes with_arrow=yes lists=("$here/packages.txt")
for argument in "$@"; do
  case $argument in
    --no-packages) with_packages=no ;;
    --no-arrow) with_arrow=no ;;
    --tests) ! grep -q '^ID=debian' /etc/os-release || lists+=("$here/test_packages.txt") ;;
    -h | --help)
      sed -n '2,10s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *) die "unknown option $argument; see scripts/setup.sh --help" ;;
  esac
done

# --- packages ---------------------------------------------------------------------------------------

missing_packages() {
  local package
  sed 's/#.*//' "${lists[@]}" | while read -r package; do
    [ -n "$package" ] || continue
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      printf '%s\n' "$package"
  done
}

install_packages() {
  command -v dpkg-query >/dev/null ||
    die "this is neither Debian nor Ubuntu; install what scripts/packages.txt names, then use --no-packages"
  local missing
  mapfile -t missing < <(missing_packages)
  [ "${#missing[@]}" -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
      die "these packages are missing and there is no sudo; as root: apt-get install ${missing[*]}"
    as_root=(sudo)
    sudo -n true 2>/dev/null || [ -t 0 ] ||
      die "these packages are missing and sudo wants a password; run: sudo apt-get install ${missing[*]}"
  fi
  say "Installing ${#missing[@]} packages ..."
  local log
  log=$(mktemp)
  # shellcheck disable=SC2024
  if ! "${as_root[@]}" apt-get update >"$log" 2>&1 ||
    ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      "${missing[@]}" >>"$log" 2>&1; then
    grep -E '^(E|W|Err):?' "$log" | head -n 5 >&2 || true
    rm -f "$log"
    die "the packages could not be installed; is the network there? By hand: apt-get install ${missing[*]}"
  fi
  rm -f "$log"
}

# --- LibTorch ---------------------------------------------------------------------------------------

libtorch_version=$(sed -n 's/^torch==\([^ ]*\).*/\1/p' "$here/libtorch.txt")

has_gpu() { [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi >/dev/null; }

# libtorch_is_whole DIR: DIR holds all that this machine needs. It was renamed into place, so what
# is there is whole; only the GPU's part may have been left out.
libtorch_is_whole() {
  [ -e "$1/torch/lib/libtorch_cpu.so" ] || return 1
  ! has_gpu || [ -e "$1/torch/lib/libtorch_cuda.so" ]
}

# Wheels for any Python serve: we take the headers and the libraries out of them.
download_wheels() {
  local folder=$1 platform platforms=(--platform manylinux1_x86_64 --platform manylinux2010_x86_64
    --platform manylinux2014_x86_64)
  for platform in $(seq 5 28); do platforms+=(--platform "manylinux_2_${platform}_x86_64"); done
  shift
  python3 -m pip --disable-pip-version-check download --no-deps --no-cache-dir --require-hashes \
    --only-binary=:all: --implementation cp --python-version 3.11 "${platforms[@]}" \
    --dest "$folder" --progress-bar "$([ -t 2 ] && echo on || echo off)" "$@" >&2
}

install_libtorch() {
  local parent=$1/libtorch folder=$1/libtorch/$libtorch_version
  ! libtorch_is_whole "$folder" || return 0
  [ "$(uname -m)" = x86_64 ] ||
    die "the pinned LibTorch is for x86-64; give one for $(uname -m) with TIGERBOT_LIBTORCH=DIR"
  python3 -m pip --version >/dev/null 2>&1 ||
    die "python3 -m pip does not run; install python3-pip (pip fetches LibTorch)"
  mkdir -p "$parent" 2>/dev/null || die "$parent: cannot create the folder; set TIGERBOT_CACHE"

  # One at a time; the one that waited finds the work done.
  exec 9>"$parent/.lock" || die "$parent: no write permission; set TIGERBOT_CACHE"
  flock 9
  ! libtorch_is_whole "$folder" || return 0

  local free_mib needs_mib=2200 size=0.6 requirements=(-r "$here/libtorch.txt") parts=()
  if has_gpu; then
    requirements+=(-r "$here/libtorch-cuda.txt")
    needs_mib=9000 size=2.6 parts=(--cuda)
  fi
  free_mib=$(df -Pm "$parent" | awk 'NR == 2 { print $4 }')
  [ "$free_mib" -ge "$needs_mib" ] ||
    die "$parent: $free_mib MiB free, LibTorch needs $needs_mib MiB while it is unpacked; set TIGERBOT_CACHE"

  # What a killed run left behind is worth nothing: nobody else is here.
  rm -rf "$parent"/.unpacking-*
  scratch=$parent/.unpacking-$$
  trap 'rm -rf "$scratch"' EXIT
  mkdir -p "$scratch/wheels" "$scratch/unpacked"
  say "Fetching LibTorch $libtorch_version ($size GB, once) ..."
  download_wheels "$scratch/wheels" "${requirements[@]}" >"$scratch/log" 2> >(
    if [ -t 2 ]; then tee "$scratch/errors" >&2; else cat >"$scratch/errors"; fi
  ) || {
    sleep 0.2
    if grep -q 'DO NOT MATCH THE HASHES' "$scratch/errors"; then
      die "LibTorch's wheels do not have the hashes in scripts/libtorch.txt; the download is damaged or not the one we pinned"
    fi
    say "$(grep -E 'ERROR|error' "$scratch/errors" | tail -n 1 | cut -c 1-300)"
    die "LibTorch could not be fetched with pip; is the network there? (PIP_INDEX_URL names a mirror)"
  }
  python3 "$here/unpack_wheels.py" "$scratch/unpacked" "${parts[@]}" "$scratch"/wheels/*.whl ||
    die "$scratch: LibTorch could not be unpacked; is the disk full?"
  sync -f "$scratch/unpacked"
  [ ! -e "$folder" ] || mv "$folder" "$scratch/old"
  mv "$scratch/unpacked" "$folder"
  rm -rf "$scratch"
  trap - EXIT
}

# --- Arrow ------------------------------------------------------------------------------------------

arrow_version=$(sed -n 's/^pyarrow==\([^ ]*\).*/\1/p' "$here/arrow.txt")

# Parquet can be done without: where Arrow cannot be had, a line says so and the rest goes on.
install_arrow() {
  local parent=$1/arrow folder=$1/arrow/$arrow_version scratch
  [ ! -d "$folder/pyarrow/include" ] || return 0
  [ "$(uname -m)" = x86_64 ] || {
    say "Arrow is pinned for x86-64 only: TigerBot is built without Parquet here."
    return 0
  }
  mkdir -p "$parent"
  exec 8>"$parent/.lock"
  flock 8
  [ ! -d "$folder/pyarrow/include" ] || return 0
  rm -rf "$parent"/.unpacking-*
  scratch=$parent/.unpacking-$$
  mkdir -p "$scratch/wheels" "$scratch/unpacked"
  say "Fetching Arrow $arrow_version (55 MB, once) ..."
  if download_wheels "$scratch/wheels" -r "$here/arrow.txt" >"$scratch/log" 2>"$scratch/errors" &&
    python3 "$here/unpack_wheels.py" "$scratch/unpacked" "$scratch"/wheels/*.whl; then
    sync -f "$scratch/unpacked"
    mv "$scratch/unpacked" "$folder"
  else
    say "$(grep -E 'ERROR|error' "$scratch/errors" | tail -n 1 | cut -c 1-300)"
    say "Arrow could not be fetched: TigerBot is built without Parquet; run scripts/setup.sh again for it."
  fi
  rm -rf "$scratch"
}

[ "$with_packages" = no ] || install_packages
[ "$with_arrow" = no ] || install_arrow "$(cache_folder)"
if [ -n "${TIGERBOT_LIBTORCH:-}" ]; then
  for needed in lib/libtorch_cpu.so lib/libc10.so include/ATen/core/Tensor.h; do
    [ -e "$TIGERBOT_LIBTORCH/$needed" ] ||
      die "TIGERBOT_LIBTORCH=$TIGERBOT_LIBTORCH has no $needed; give the folder that holds lib/ and include/"
  done
else
  install_libtorch "$(cache_folder)"
fi
