#!/usr/bin/env bash
# Sets up, builds and runs TigerBot.
#
#   ./run.sh                                    raw text to a served model: recipes/tigerbot-mini.toml
#   ./run.sh "How do I list files in Linux?"    one answer of the default model, streamed
#   ./run.sh chat                               a conversation with it in the terminal
#   ./run.sh serve [OPTIONS]                    OpenAI's API and a web page at http://127.0.0.1:8080, of
#                                               the model that the recipe made, or else the default one
#
# Whatever was done is not done again; a run that was stopped (Ctrl-C, a crash) goes on where it was.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"

default_model=smollm2-135m-instruct
made_model=$root/out/tigerbot-mini/tuned/result/final
# What its authors recommend: taking the likeliest token always, so small a model repeats itself.
sampling=(--temperature 0.2 --top-p 0.9)

"$root/scripts/setup.sh"
build tigerbot
tigerbot=$root/build/tigerbot

case ${1-} in
  "")
    # Where nobody watches, nobody would stop the server at the end.
    options=()
    [ -t 0 ] && [ -t 1 ] || options=(--no-serve)
    exec "$tigerbot" run "$root/recipes/tigerbot-mini.toml" "${options[@]}"
    ;;
  chat) exec "$tigerbot" chat "$default_model" "${sampling[@]}" ;;
  serve)
    model=$default_model
    [ ! -e "$made_model/config.json" ] || model=$made_model
    exec "$tigerbot" serve "$model" "${sampling[@]}" "${@:2}"
    ;;
  *) exec "$tigerbot" generate "$default_model" "${sampling[@]}" --prompt "$*" ;;
esac
