#include "data/shards/manifest.h"

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"

namespace tigerbot::data {
namespace {

constexpr std::string_view kFormat = "tigerbot token shard";

std::optional<TokenId> read_id(JsonReader& reader, std::string_view key) {
  const auto id = reader.find<int>(key);
  return id ? std::optional<TokenId>(*id) : std::nullopt;
}

}  // namespace

Json shard_count_json(const ShardCount& count) {
  return {{"documents", count.documents}, {"tokens", count.tokens}, {"bytes", count.bytes}};
}

ShardCount read_shard_count(JsonReader reader) {
  ShardCount count;
  count.documents = reader.get<std::uint64_t>("documents");
  count.tokens = reader.get<std::uint64_t>("tokens");
  count.bytes = reader.get<std::uint64_t>("bytes");
  reader.finish();
  return count;
}

Json shard_counts_json(const std::map<std::string, ShardCount>& counts) {
  Json json = Json::object();
  for (const auto& [name, count] : counts) json[name] = shard_count_json(count);
  return json;
}

std::map<std::string, ShardCount> read_shard_counts(JsonReader reader) {
  std::map<std::string, ShardCount> counts;
  for (const auto& item : reader.value().items())
    counts[item.key()] = read_shard_count(reader.object(item.key()));
  return counts;
}

void ShardCount::add(const ShardCount& other) {
  documents += other.documents;
  tokens += other.tokens;
  bytes += other.bytes;
}

std::string tokenizer_fingerprint(const Tokenizer& tokenizer) {
  Digest digest(Digest::Kind::kSha256);
  for (TokenId id = 0; id < tokenizer.size(); ++id) {
    const std::string piece = tokenizer.piece(id);
    // The length in front keeps two pieces from passing for one.
    digest.update(std::to_string(piece.size()) + ":");
    digest.update(piece);
  }
  return digest.finish_hex();
}

Json shard_manifest_json(const ShardManifest& manifest) {
  Json json;
  json["format"] = kFormat;
  json["version"] = 1;
  json["tokenizer"] = {{"sha256", manifest.tokenizer},
                       {"kind", manifest.tokenizer_kind},
                       {"vocabulary_size", manifest.vocabulary_size}};
  json["bos_id"] = manifest.bos_id ? Json(*manifest.bos_id) : Json(nullptr);
  json["eod_id"] = manifest.eod_id ? Json(*manifest.eod_id) : Json(nullptr);
  json["total"] = shard_count_json(manifest.total);
  json["sources"] = shard_counts_json(manifest.by_source);
  json["languages"] = shard_counts_json(manifest.by_language);
  json["bin_sha256"] = manifest.bin_sha256;
  json["idx_sha256"] = manifest.idx_sha256;
  return json;
}

ShardManifest parse_shard_manifest(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  if (const auto format = reader.get<std::string>("format", ""); format != kFormat)
    fail("{}: not the manifest of a token shard (\"format\" must be \"{}\")", path, kFormat);
  if (const auto version = reader.get<int>("version"); version != 1)
    fail("{}: version {} of the manifest is not known; 1 is", path, version);
  ShardManifest manifest;
  JsonReader tokenizer = reader.object("tokenizer");
  manifest.tokenizer = tokenizer.get<std::string>("sha256");
  manifest.tokenizer_kind = tokenizer.get<std::string>("kind");
  manifest.vocabulary_size = tokenizer.get<std::int64_t>("vocabulary_size");
  tokenizer.finish();
  manifest.bos_id = read_id(reader, "bos_id");
  manifest.eod_id = read_id(reader, "eod_id");
  manifest.total = read_shard_count(reader.object("total"));
  manifest.by_source = read_shard_counts(reader.object("sources"));
  manifest.by_language = read_shard_counts(reader.object("languages"));
  manifest.bin_sha256 = reader.get<std::string>("bin_sha256");
  manifest.idx_sha256 = reader.get<std::string>("idx_sha256");
  reader.finish();
  return manifest;
}

std::optional<ShardManifest> read_shard_manifest(const std::filesystem::path& prefix) {
  const std::filesystem::path path = prefix.string() + ".json";
  if (!std::filesystem::exists(path)) return std::nullopt;
  return parse_shard_manifest(read_json_file(path), path.string());
}

void require_manifest_of(const ShardManifest& manifest, const TokenShard& shard) {
  const ShardCount& total = manifest.total;
  if (total.documents != shard.documents() || total.tokens != shard.tokens())
    fail(
        "{}.json: speaks of {} documents and {} tokens, and the shard has {} and {}; it belongs to "
        "another shard",
        shard.prefix().string(), total.documents, total.tokens, shard.documents(), shard.tokens());
}

}  // namespace tigerbot::data
