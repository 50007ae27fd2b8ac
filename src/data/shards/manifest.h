#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/json.h"
#include "data/shards/token_shard.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot::data {

/// What a group of documents comes to.
struct ShardCount {
  std::uint64_t documents = 0;
  std::uint64_t tokens = 0;  ///< end-of-document tokens included
  std::uint64_t bytes = 0;   ///< of UTF-8 text

  void add(const ShardCount& other);
};

/// PREFIX.json beside a shard: what is in it and who wrote it.
struct ShardManifest {
  std::string tokenizer;  ///< tokenizer_fingerprint()
  std::string tokenizer_kind;
  std::int64_t vocabulary_size = 0;
  std::optional<TokenId> bos_id, eod_id;  ///< in front of and behind each document, where added
  ShardCount total;
  std::map<std::string, ShardCount> by_source, by_language;
  std::string bin_sha256, idx_sha256;
};

/// A hash of what every id means: two tokenizers have the same where their pieces are the same.
std::string tokenizer_fingerprint(const Tokenizer& tokenizer);

/// Counts as JSON objects, and back.
Json shard_count_json(const ShardCount& count);
Json shard_counts_json(const std::map<std::string, ShardCount>& counts);
ShardCount read_shard_count(JsonReader reader);
std::map<std::string, ShardCount> read_shard_counts(JsonReader reader);

Json shard_manifest_json(const ShardManifest& manifest);
ShardManifest parse_shard_manifest(const Json& json, const std::string& path);

/// The manifest beside a shard; nothing where there is none (shards of other programs).
std::optional<ShardManifest> read_shard_manifest(const std::filesystem::path& prefix);

/// An Error unless it counts what the shard has.
void require_manifest_of(const ShardManifest& manifest, const TokenShard& shard);

}  // namespace tigerbot::data
