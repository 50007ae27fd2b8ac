#include <CLI/App.hpp>
#include <chrono>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/logging.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "data/shards/tokenize.h"
#include "weights/hub/models.h"
#include "weights/tokenizer_files.h"

namespace tigerbot {
namespace {

struct DataTokenizeOptions {
  data::TokenizeOptions tokenize;
  std::string tokenizer, output;
  bool append_eod = false, prepend_bos = false, json = false;
  std::string eod_token, bos_token;
};

/// The piece that the user names, or the tokenizer's own.
TokenId role_id(const Tokenizer& tokenizer, const std::string& piece, std::optional<TokenId> own,
                const char* option, const char* what) {
  if (!piece.empty()) {
    if (const auto id = tokenizer.id(piece)) return *id;
    fail("{}: the tokenizer has no piece {}", option, quote(piece));
  }
  if (!own) fail("the tokenizer names no {} token; say which piece it is with {}", what, option);
  return *own;
}

void print(const data::TokenizeResult& result, double seconds, bool json) {
  const data::ShardCount total = result.total();
  const double rate = static_cast<double>(total.tokens) / seconds;
  if (json) {
    nlohmann::ordered_json shards = nlohmann::ordered_json::array();
    for (const auto& shard : result.shards)
      shards.push_back({{"prefix", shard.prefix.string()},
                        {"documents", shard.manifest.total.documents},
                        {"tokens", shard.manifest.total.tokens}});
    print_json({{"documents", total.documents},
                {"tokens", total.tokens},
                {"text_bytes", total.bytes},
                {"input_bytes", result.input_bytes},
                {"empty_documents", result.empty_documents},
                {"bad_rows", result.bad_rows},
                {"parts", result.parts},
                {"parts_done_before", result.parts_done},
                {"seconds", seconds},
                {"tokens_per_second", rate},
                {"shards", shards}});
    return;
  }
  for (const auto& shard : result.shards)
    std::printf("%s: %s documents, %s tokens\n", shard.prefix.c_str(),
                format_count(shard.manifest.total.documents).c_str(),
                format_count(shard.manifest.total.tokens).c_str());
  std::printf("%s tokens a second, %.2f bytes a token\n",
              format_count(static_cast<std::uint64_t>(rate)).c_str(),
              static_cast<double>(total.bytes) / static_cast<double>(total.tokens));
  if (result.empty_documents + result.bad_rows > 0)
    std::printf("left out: %s documents without text, %s rows that could not be read\n",
                format_count(result.empty_documents).c_str(),
                format_count(result.bad_rows).c_str());
}

void run(DataTokenizeOptions& options) {
  if (options.tokenize.threads < 0 || options.tokenize.threads > 1024)
    fail("--threads must be from 1 to 1024");
  const auto path = resolve_model(options.tokenizer);
  const auto tokenizer = open_tokenizer(path);
  options.tokenize.output = options.output;
  options.tokenize.tokenizer_stamp = tokenizer_stamp(path);
  if (options.append_eod)
    options.tokenize.eod_id =
        role_id(*tokenizer, options.eod_token, tokenizer->eos_id, "--eod-token", "end-of-sequence");
  if (options.prepend_bos)
    options.tokenize.bos_id = role_id(*tokenizer, options.bos_token, tokenizer->bos_id,
                                      "--bos-token", "beginning-of-sequence");
  Communicator& communicator = world();
  const auto start = std::chrono::steady_clock::now();
  const auto result = data::tokenize(*tokenizer, options.tokenize, communicator);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (communicator.rank() == 0) print(result, seconds.count(), options.json);
}

}  // namespace

void add_data_tokenize_command(CLI::App& data) {
  auto options = std::make_shared<DataTokenizeOptions>();
  data::TokenizeOptions& tokenize = options->tokenize;
  CLI::App& command = *data.add_subcommand(
      "tokenize", "Write token shards in Megatron's format, ready to train on");
  command
      .add_option("INPUT", tokenize.inputs,
                  "Files, folders or globs: JSON lines, plain text and whatever else `data build` "
                  "reads, compressed or not")
      ->required();
  command
      .add_option("--tokenizer", options->tokenizer,
                  "A model, a directory with a tokenizer's files, tokenizer.json or a .model file")
      ->required();
  command
      .add_option("--output", options->output,
                  "Beginning of the names: DIR/PREFIX gives DIR/PREFIX.bin, .idx and .json")
      ->required();
  command.add_flag("--append-eod,!--no-append-eod", options->append_eod,
                   "Put the end-of-document token behind each document");
  command.add_option("--eod-token", options->eod_token,
                     "Its piece (default: the tokenizer's end of sequence)");
  command.add_flag("--prepend-bos", options->prepend_bos,
                   "Put the beginning-of-sequence token in front of each document");
  command.add_option("--bos-token", options->bos_token,
                     "Its piece (default: the tokenizer's beginning of sequence)");
  command.add_flag("--split-by-source", tokenize.split_by_source,
                   "One shard a source, DIR/PREFIX-SOURCE, so that training can weight them");
  command.add_option("--format", tokenize.format,
                     "jsonl, text, html, ... (default: by name and first bytes)");
  command.add_option("--text-field", tokenize.text_field, "Field of a row that holds the text")
      ->capture_default_str();
  command
      .add_option("--text-unit", tokenize.text_unit,
                  "What is a document of plain text: file, paragraph or line")
      ->capture_default_str();
  command.add_option("--source-field", tokenize.source_field, "Field that names a row's source")
      ->capture_default_str();
  command.add_option("--language-field", tokenize.language_field, "Field that names its language")
      ->capture_default_str();
  command.add_flag("--parse-special-tokens", tokenize.parse_special_tokens,
                   "Recognize special tokens written in the text (default: they are plain text)");
  command.add_flag("--skip-bad-rows", tokenize.skip_bad_rows,
                   "Count rows that cannot be read and go on (default: they end the run)");
  command
      .add_option("--part-bytes", tokenize.part_bytes,
                  "Input that is worked on, and lost when the run is killed, as a whole: 32M, 1G")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  command.add_flag("--overwrite", tokenize.overwrite, "Replace shards that are there");
  command.add_option("--threads", tokenize.threads, "Of each rank (default: one a core)");
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer(
      "A run that was killed goes on where it was when it is started again with the same words.\n"
      "Over several processes or machines: mpirun -n 8 tigerbot data tokenize ...\n"
      "Example:\n  tigerbot data tokenize corpus/*.jsonl.zst --tokenizer smollm2-135m-instruct \\\n"
      "      --append-eod --output shards/train");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
