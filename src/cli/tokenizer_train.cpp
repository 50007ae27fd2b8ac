// tigerbot tokenizer train: a new tokenizer from text.

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "cli/options.h"
#include "cli/text_sample_options.h"
#include "cli/tokenizer_commands.h"
#include "tokenizer/gguf_pre_tokenizers.h"
#include "tokenizer/training/byte_level_trainer.h"
#include "tokenizer/training/sentencepiece_trainer.h"
#include "tokenizer/training/tokenizer_files.h"
#include "weights/tokenizer_source.h"

namespace tigerbot {
namespace {

struct TrainOptions {
  std::string type = "byte-level-bpe", output;
  TextSampleFlags sample;
  TokenizerRoles roles;
  std::string chat_template;
  int threads = 0;
  bool json = false;
  // byte-level BPE
  ByteLevelTrainerOptions byte_level;
  std::string pre_tokenizer = "gpt-2";
  std::uint64_t limit_alphabet = 0;
  std::uint32_t max_token_length = 0;
  bool only_seen_bytes = false;
  // SentencePiece
  SentencePieceTrainerOptions sentencepiece;
  bool no_byte_fallback = false, keep_digits = false;
  std::uint64_t vocab_size = 32000;
};

nlohmann::ordered_json train_byte_level(const TrainOptions& options, ShownSample& sample,
                                        const std::filesystem::path& folder) {
  const GgufPreTokenizer form = gguf_pre_tokenizer(options.pre_tokenizer, "--pre-tokenizer");
  const auto pre_tokenizer =
      PreTokenizer::from_json(Json::parse(form.pre_tokenizer), "--pre-tokenizer");
  const auto normalizer = make_normalizer(Json::parse(form.normalizer), "--pre-tokenizer");
  ByteLevelTrainerOptions settings = options.byte_level;
  settings.vocab_size = options.vocab_size;
  settings.special_tokens = options.roles.special_tokens;
  settings.byte_alphabet = !options.only_seen_bytes;
  if (options.limit_alphabet > 0) settings.limit_alphabet = options.limit_alphabet;
  if (options.max_token_length > 0) settings.max_token_length = options.max_token_length;
  settings.threads = thread_count(options.threads);
  const WordCounts words =
      count_words(sample, pre_tokenizer, normalizer.get(), settings.threads, nullptr);
  Progress progress("merges", settings.vocab_size, {.unit_name = "pieces"});
  settings.on_progress = [&](std::size_t pieces) { progress.set_done(pieces); };
  const TrainedBpe bpe = train_byte_level_bpe(words, settings);
  progress.finish();
  write_file(folder / "tokenizer.json",
             byte_level_tokenizer_json(bpe, options.roles, options.pre_tokenizer).dump(1) + "\n");
  return {{"pieces", bpe.pieces.size()}, {"merges", bpe.merges.size()}, {"words", words.size()}};
}

nlohmann::ordered_json train_sentencepiece_model(const TrainOptions& options, ShownSample& sample,
                                                 const std::filesystem::path& folder) {
  SentencePieceTrainerOptions settings = options.sentencepiece;
  settings.type = options.type == "sentencepiece-bpe" ? SentencePieceTrainerOptions::Type::kBpe
                                                      : SentencePieceTrainerOptions::Type::kUnigram;
  settings.vocab_size = options.vocab_size;
  settings.byte_fallback = !options.no_byte_fallback;
  settings.split_digits = !options.keep_digits;
  settings.threads = thread_count(options.threads);
  const TokenizerRoles& roles = options.roles;
  if (!roles.unk_token.empty()) settings.unk_piece = roles.unk_token;
  if (!roles.bos_token.empty()) settings.bos_piece = roles.bos_token;
  if (!roles.eos_token.empty()) settings.eos_piece = roles.eos_token;
  settings.pad_piece = roles.pad_token;
  for (const std::string& token : roles.special_tokens) {
    if (token != settings.unk_piece && token != settings.bos_piece && token != settings.eos_piece &&
        token != settings.pad_piece) {
      settings.control_pieces.push_back(token);
    }
  }
  const std::string model = train_sentencepiece(settings, [&]() -> std::optional<std::string> {
    if (auto document = sample.next()) return std::move(document->text);
    sample.finish();
    fmt::print(stderr, "SentencePiece trains on it\n");
    return std::nullopt;
  });
  const std::string path = options.output + "/tokenizer.model";
  const SentencePieceModel read = read_sentencepiece_model(model, path);
  write_file(folder / "tokenizer.model", model);
  const auto json = tokenizer_json_from_sentencepiece(read, roles.add_bos, roles.add_eos, path);
  if (json) write_file(folder / "tokenizer.json", json->dump(1) + "\n");
  return {{"pieces", read.pieces.size()}, {"tokenizer_json", json.has_value()}};
}

void run(TrainOptions options) {
  const bool byte_level = options.type == "byte-level-bpe";
  TokenizerRoles& roles = options.roles;
  if (!options.chat_template.empty()) roles.chat_template = read_file(options.chat_template);
  if (byte_level) {
    // Roles are special tokens too.
    for (const std::string* token :
         {&roles.unk_token, &roles.bos_token, &roles.eos_token, &roles.pad_token}) {
      auto& list = roles.special_tokens;
      if (!token->empty() && std::find(list.begin(), list.end(), *token) == list.end()) {
        list.push_back(*token);
      }
    }
    if (!options.sentencepiece.user_defined_pieces.empty()) {
      fail("--user-defined-piece is SentencePiece's; use --special-token");
    }
  } else {
    if (roles.unk_token.empty()) roles.unk_token = "<unk>";
    if (roles.bos_token.empty()) roles.bos_token = "<s>";
    if (roles.eos_token.empty()) roles.eos_token = "</s>";
    std::vector<std::string> all{roles.unk_token, roles.bos_token, roles.eos_token};
    if (!roles.pad_token.empty()) all.push_back(roles.pad_token);
    for (const std::string& token : roles.special_tokens) {
      if (std::find(all.begin(), all.end(), token) == all.end()) all.push_back(token);
    }
    roles.special_tokens = std::move(all);
  }
  check_roles(roles);
  refuse_existing(options.output);
  ShownSample sample(options.sample, "read");
  AtomicFolder folder(options.output);
  nlohmann::ordered_json report = {{"type", options.type}, {"output", options.output}};
  report.update(byte_level ? train_byte_level(options, sample, folder.path())
                           : train_sentencepiece_model(options, sample, folder.path()));
  write_file(folder.path() / "tokenizer_config.json",
             tokenizer_config_json(roles, "PreTrainedTokenizerFast").dump(2) + "\n");
  write_file(folder.path() / "special_tokens_map.json",
             special_tokens_map_json(roles).dump(2) + "\n");
  if (!roles.chat_template.empty()) {
    write_file(folder.path() / "chat_template.jinja", roles.chat_template);
  }
  folder.commit();
  report["sample"] = sample.report();
  if (options.json) {
    print_json(report);
    return;
  }
  sample.print_report();
  fmt::print(stderr, "{}: {} pieces\n", options.output,
             format_count(report["pieces"].get<std::uint64_t>()));
}

}  // namespace

void add_tokenizer_train_command(CLI::App& tokenizer) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App& command = *tokenizer.add_subcommand("train", "Train a tokenizer on text");
  command
      .add_option("FILES", options->sample.files,
                  "Text to train on: files, folders (the output of `data build`) or globs; zh=FILE "
                  "says what language a file is in")
      ->required();
  command.add_option("--output", options->output, "The folder to make")->required();
  command
      .add_option("--type", options->type,
                  "byte-level-bpe, sentencepiece-bpe or sentencepiece-unigram")
      ->check(CLI::IsMember({"byte-level-bpe", "sentencepiece-bpe", "sentencepiece-unigram"}));
  command.add_option("--vocab-size", options->vocab_size, "Pieces, special tokens included")
      ->check(CLI::PositiveNumber);
  options->sample.add(command);
  command.add_option("--special-token", options->roles.special_tokens,
                     "A special token; may be given again, in the order of the ids");
  command.add_option("--bos-token", options->roles.bos_token, "Begins a text");
  command.add_option("--eos-token", options->roles.eos_token, "Ends a text");
  command.add_option("--pad-token", options->roles.pad_token, "Fills batches");
  command.add_option("--unk-token", options->roles.unk_token, "Stands for what has no piece");
  command.add_flag("--add-bos", options->roles.add_bos, "Encoding begins with the bos token");
  command.add_flag("--add-eos", options->roles.add_eos, "Encoding ends with the eos token");
  command.add_option("--chat-template", options->chat_template, "A Jinja file to go along");
  command.add_option("--threads", options->threads, "0: all of the machine");
  command.add_flag("--json", options->json, "One JSON object on stdout");

  const std::string group = "Byte-level BPE";
  command
      .add_option("--pre-tokenizer", options->pre_tokenizer,
                  "How text is cut into words: gpt-2, smollm, llama-bpe, qwen2, gpt-4o, ...")
      ->check(CLI::IsMember(pre_tokenizer_names()))
      ->group(group);
  command
      .add_option("--min-frequency", options->byte_level.min_frequency,
                  "Join pairs that occur at least so often")
      ->group(group);
  command.add_option("--limit-alphabet", options->limit_alphabet, "Start from so many bytes only")
      ->group(group);
  command
      .add_flag("--only-seen-bytes", options->only_seen_bytes,
                "Start from the bytes of the text, not from all 256")
      ->group(group);
  command.add_option("--max-token-length", options->max_token_length, "In bytes; 0: any")
      ->group(group);

  const std::string pieces = "SentencePiece";
  command
      .add_option("--character-coverage", options->sentencepiece.character_coverage,
                  "Share of the characters that become pieces")
      ->check(CLI::Range(0.9, 1.0))
      ->group(pieces);
  command
      .add_flag("--no-byte-fallback", options->no_byte_fallback,
                "Other characters are unknown instead of spelled in bytes")
      ->group(pieces);
  command
      .add_flag("--keep-digits", options->keep_digits, "Numbers may be pieces; else every digit is")
      ->group(pieces);
  command
      .add_option("--user-defined-piece", options->sentencepiece.user_defined_pieces,
                  "A piece that is always found in the text; may be given again")
      ->group(pieces);
  command
      .add_option("--normalization", options->sentencepiece.normalization_rule,
                  "identity, nfkc, nmt_nfkc, nfkc_cf or nmt_nfkc_cf")
      ->check(CLI::IsMember({"identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf"}))
      ->group(pieces);
  command
      .add_flag("--remove-extra-whitespaces", options->sentencepiece.remove_extra_whitespaces,
                "Runs of spaces become one")
      ->group(pieces);
  command.footer(
      "Example:\n  tigerbot tokenizer train zh=text/zh ja=text/ja --type sentencepiece-bpe "
      "--vocab-size 16000 --sample-bytes 1G --output new-tokenizer");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
