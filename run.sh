#!/usr/bin/env bash
# Sets up, builds and runs TigerBot with the default model.
#
#   ./run.sh "How do I list files in Linux?"    one answer, streamed
#   ./run.sh                                    a chat (one answer where there is no terminal)
#   ./run.sh serve [OPTIONS]                    OpenAI's API and a web page at http://127.0.0.1:8080
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"

model=smollm2-135m-instruct
# What its authors recommend: taking the likeliest token always, so small a model repeats itself.
sampling=(--temperature 0.2 --top-p 0.9)

"$root/scripts/setup.sh"
build tigerbot

if [ "${1:-}" = serve ]; then
  exec "$root/build/tigerbot" serve "$model" "${sampling[@]}" "${@:2}"
elif [ $# -gt 0 ]; then
  exec "$root/build/tigerbot" generate "$model" "${sampling[@]}" --prompt "$*"
elif [ -t 0 ] && [ -t 1 ]; then
  exec "$root/build/tigerbot" chat "$model" "${sampling[@]}"
else
  exec "$root/build/tigerbot" generate "$model" "${sampling[@]}" \
    --prompt "What is a large language model?"
fi
