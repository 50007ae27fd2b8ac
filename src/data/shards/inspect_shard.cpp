#include "data/shards/inspect_shard.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory_map.h"
#include "base/text.h"
#include "data/shards/manifest.h"
#include "data/shards/token_shard.h"

namespace tigerbot::data {
namespace {

std::string file_sha256(const std::filesystem::path& file) {
  if (std::filesystem::file_size(file) == 0) return sha256_hex("");
  const MemoryMap map(file);
  return sha256_hex(map.text());
}

void check_sum(const std::filesystem::path& file, const std::string& expected) {
  if (file_sha256(file) != expected)
    fail("{}: the checksum differs from the manifest's; the file is damaged or was changed",
         file.string());
}

std::string table(const Json& counts) {
  std::string text;
  for (const auto& [name, count] : counts.items())
    text += fmt::format("    {:<24} {:>14} documents {:>16} tokens\n",
                        name.empty() ? "(not said)" : name,
                        format_count(count["documents"].get<std::uint64_t>()),
                        format_count(count["tokens"].get<std::uint64_t>()));
  return text;
}

}  // namespace

bool is_shard(const std::filesystem::path& path) {
  if (path.extension() == ".bin" || path.extension() == ".idx")
    return std::filesystem::exists(shard_prefix(path).string() + ".idx");
  return !std::filesystem::is_directory(path) && path.extension() != ".gguf" &&
         std::filesystem::exists(path.string() + ".idx");
}

Json inspect_shard(const std::filesystem::path& path, bool checksums) {
  const TokenShard shard(path);
  shard.check();
  std::uint64_t longest = 0, empty = 0;
  for (std::uint64_t document = 0; document < shard.documents(); ++document) {
    const std::uint64_t length = shard.length(document);
    longest = std::max(longest, length);
    empty += length == 0 ? 1 : 0;
  }
  const auto manifest = read_shard_manifest(shard.prefix());
  if (manifest) require_manifest_of(*manifest, shard);
  if (manifest && checksums) {
    check_sum(shard.prefix().string() + ".bin", manifest->bin_sha256);
    check_sum(shard.prefix().string() + ".idx", manifest->idx_sha256);
  }
  return {{"format", "Megatron indexed dataset (MMapIndexedDataset, version 1)"},
          {"path", shard.prefix().string()},
          {"type", shard_type_name(shard.type())},
          {"documents", shard.documents()},
          {"tokens", shard.tokens()},
          {"longest_document", longest},
          {"empty_documents", empty},
          {"bytes", shard.tokens() * shard_type_size(shard.type())},
          {"manifest", manifest ? shard_manifest_json(*manifest) : Json(nullptr)}};
}

std::string format_shard_inspection(const Json& inspection) {
  const auto count = [&](const char* key) {
    return format_count(inspection[key].get<std::uint64_t>());
  };
  const auto documents = inspection["documents"].get<std::uint64_t>();
  std::string text = fmt::format(
      "{}\n  format           {}\n  ids              {} tokens, {} ({})\n"
      "  documents        {} (mean {:.1f} tokens, longest {}, empty {})\n",
      inspection["path"].get<std::string>(), inspection["format"].get<std::string>(),
      count("tokens"), inspection["type"].get<std::string>(),
      format_bytes(inspection["bytes"].get<std::uint64_t>()), count("documents"),
      static_cast<double>(inspection["tokens"].get<std::uint64_t>()) /
          static_cast<double>(std::max<std::uint64_t>(documents, 1)),
      count("longest_document"), count("empty_documents"));
  const Json& manifest = inspection["manifest"];
  if (manifest.is_null()) return text + "  manifest         none\n";
  const Json& tokenizer = manifest["tokenizer"];
  const auto bytes = manifest["total"]["bytes"].get<std::uint64_t>();
  text += fmt::format("  tokenizer        {}, {} pieces, sha256 {}\n",
                      tokenizer["kind"].get<std::string>(),
                      format_count(tokenizer["vocabulary_size"].get<std::uint64_t>()),
                      tokenizer["sha256"].get<std::string>().substr(0, 16));
  text += fmt::format(
      "  text             {}, {:.2f} bytes a token\n", format_bytes(bytes),
      static_cast<double>(bytes) / static_cast<double>(inspection["tokens"].get<std::uint64_t>()));
  text += "  sources\n" + table(manifest["sources"]);
  text += "  languages\n" + table(manifest["languages"]);
  return text;
}

}  // namespace tigerbot::data
