#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "data/shards/shard_writer.h"
#include "model/config.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot::train::testing {

/// A decoder of about 30,000 parameters over the 258 pieces of tiny_tokenizer().
inline ModelConfig tiny_model_config() {
  ModelConfig config;
  config.model_type = "llama";
  config.vocab_size = 258;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.max_position_embeddings = 256;
  config.tie_word_embeddings = true;
  config.eos_token_ids = {257};
  return config;
}

/// A byte-level tokenizer.json without merges: a piece for each byte, then ChatML's two markers.
inline std::string tiny_tokenizer() {
  Json vocabulary = Json::object();
  int next = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int point = printable ? byte : 256 + next++;
    std::string piece;
    if (point < 0x80) {
      piece += static_cast<char>(point);
    } else {
      piece += static_cast<char>(0xC0 | point >> 6);
      piece += static_cast<char>(0x80 | (point & 0x3F));
    }
    vocabulary[piece] = byte;
  }
  Json added = Json::array();
  int id = 256;
  for (const char* text : {"<|im_start|>", "<|im_end|>"}) {
    vocabulary[text] = id;
    added.push_back({{"id", id++},
                     {"content", text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  return Json{{"version", "1.0"},
              {"truncation", nullptr},
              {"padding", nullptr},
              {"added_tokens", added},
              {"normalizer", nullptr},
              {"pre_tokenizer",
               {{"type", "ByteLevel"},
                {"add_prefix_space", false},
                {"trim_offsets", true},
                {"use_regex", false}}},
              {"post_processor", nullptr},
              {"decoder",
               {{"type", "ByteLevel"},
                {"add_prefix_space", true},
                {"trim_offsets", true},
                {"use_regex", true}}},
              {"model",
               {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", nullptr},
                {"end_of_word_suffix", nullptr},
                {"fuse_unk", false},
                {"byte_fallback", false},
                {"vocab", vocabulary},
                {"merges", Json::array()}}}}
      .dump();
}

/// Writes config.json and the tokenizer of a start from scratch into `folder`.
inline void write_tiny_model(const std::filesystem::path& folder) {
  create_folders(folder);
  write_file(folder / "config.json", format_model_config(tiny_model_config()));
  write_file(folder / "tokenizer.json", tiny_tokenizer());
  write_file(folder / "tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
}

/// `count` short instruction rows, one a line.
inline std::string tiny_rows(int count) {
  std::string rows;
  for (int i = 0; i < count; ++i) {
    rows += Json{{"instruction", "Repeat the number " + std::to_string(i * 37 % 101)},
                 {"input", i % 3 == 0 ? "twice" : ""},
                 {"output", std::to_string(i * 37 % 101) + (i % 3 == 0 ? " and again" : "")}}
                .dump() +
            "\n";
  }
  return rows;
}

/// A recipe that fine-tunes the tiny model from scratch; `more` goes at the end of [train].
inline std::string tiny_recipe(const std::string& more = "", const std::string& rest = "",
                               const std::string& data = "", const std::string& model = "") {
  return R"(
output = "run"
[model]
config = "model/config.json"
tokenizer = "model"
)" + model +
         R"(
[data]
objective = "sft"
template = "chatml"
sequence_length = 96
epochs = 3
)" + data +
         R"(
[[data.source]]
path = "rows.jsonl"
[train]
global_batch_tokens = 384
learning_rate = 3e-3
seed = 5
)" + more +
         rest;
}

/// The folder of a run: model, rows and recipe.
inline void write_tiny_run(const std::filesystem::path& folder, const std::string& recipe) {
  write_tiny_model(folder / "model");
  write_file(folder / "rows.jsonl", tiny_rows(60));
  write_file(folder / "recipe.toml", recipe);
}

/// A shard of documents whose ids are all `first` + their number, ten to twenty of each.
inline void write_documents(const std::filesystem::path& prefix, int documents, int first) {
  std::string lengths, ids;
  const auto put = [](std::string& out, auto value) {
    char bytes[sizeof(value)];
    std::memcpy(bytes, &value, sizeof(value));
    out.append(bytes, sizeof(value));
  };
  for (int d = 0; d < documents; ++d) {
    const int length = 10 + d % 11;
    put(lengths, static_cast<std::int32_t>(length));
    for (int i = 0; i < length; ++i) put(ids, static_cast<std::uint16_t>(first + d % 40));
  }
  data::ShardManifest manifest;
  manifest.vocabulary_size = 258;
  manifest.tokenizer = data::tokenizer_fingerprint(*parse_tokenizer_json(tiny_tokenizer(), "tiny"));
  data::write_shard(
      prefix, data::ShardType::kUint16, 1,
      [&](std::size_t) {
        return data::ShardPart{lengths, ids, nullptr};
      },
      manifest);
}

}  // namespace tigerbot::train::testing
