#include "data/shards/token_shard.h"

#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/files.h"

namespace tigerbot::data {
namespace {

std::filesystem::path with_ending(const std::filesystem::path& prefix, const char* ending) {
  return prefix.string() + ending;
}

/// Widens ids and looks for one outside [0, limit); gives its place, or ids.size().
template <class T>
std::size_t widen(const std::byte* bytes, std::span<TokenId> ids, std::int64_t limit) {
  bool fits = true;
  for (std::size_t k = 0; k < ids.size(); ++k) {
    T value;
    std::memcpy(&value, bytes + k * sizeof(T), sizeof(T));
    fits &= static_cast<std::uint64_t>(static_cast<std::int64_t>(value)) <
            static_cast<std::uint64_t>(limit);
    ids[k] = static_cast<TokenId>(value);
  }
  if (fits) return ids.size();
  for (std::size_t k = 0;; ++k) {
    T value;
    std::memcpy(&value, bytes + k * sizeof(T), sizeof(T));
    if (static_cast<std::int64_t>(value) < 0 || static_cast<std::int64_t>(value) >= limit) return k;
  }
}

std::size_t widen(ShardType type, const std::byte* bytes, std::span<TokenId> ids,
                  std::int64_t limit) {
  switch (type) {
    case ShardType::kUint8:
      return widen<std::uint8_t>(bytes, ids, limit);
    case ShardType::kInt8:
      return widen<std::int8_t>(bytes, ids, limit);
    case ShardType::kInt16:
      return widen<std::int16_t>(bytes, ids, limit);
    case ShardType::kUint16:
      return widen<std::uint16_t>(bytes, ids, limit);
    case ShardType::kInt32:
      return widen<std::int32_t>(bytes, ids, limit);
    case ShardType::kInt64:
      return widen<std::int64_t>(bytes, ids, limit);
  }
  return 0;
}

std::int64_t id_at(ShardType type, const std::byte* bytes) {
  std::int64_t value = 0;
  std::memcpy(&value, bytes, shard_type_size(type));
  return value;
}

}  // namespace

std::filesystem::path shard_prefix(const std::filesystem::path& path) {
  const auto ending = path.extension();
  if (ending != ".bin" && ending != ".idx") return path;
  return std::filesystem::path(path).replace_extension();
}

TokenShard::TokenShard(const std::filesystem::path& prefix)
    : prefix_(shard_prefix(prefix)),
      index_map_(with_ending(prefix_, ".idx")),
      index_(index_map_.bytes(), index_map_.path().string()) {
  const auto bin = with_ending(prefix_, ".bin");
  const std::uint64_t size = size_of_file(bin);
  const std::uint64_t width = shard_type_size(index_.type());
  const std::uint64_t end = index_.end();
  if (end != size || size % width != 0)
    fail("{}: {} bytes, but {} speaks of {}; one of them is truncated or belongs to another shard",
         bin.string(), size, index_map_.path().string(), end);
  if (size > 0) ids_.emplace(bin);
  tokens_ = size / width;
}

TokenShard::Span TokenShard::span_of(std::uint64_t document) const {
  const std::uint64_t width = shard_type_size(index_.type());
  const ShardIndex::Bytes bytes = index_.document(document, tokens_ * width);
  return {bytes.begin / width, (bytes.end - bytes.begin) / width};
}

void TokenShard::read(std::uint64_t document, std::uint64_t first, std::span<TokenId> ids,
                      std::int64_t vocabulary_size) const {
  const Span span = span_of(document);
  if (first > span.count || ids.size() > span.count - first)
    fail("{}.idx: document {} has {} tokens, and {} from token {} on are asked for",
         prefix_.string(), document, span.count, ids.size(), first);
  if (ids.empty()) return;
  const std::uint64_t width = shard_type_size(index_.type());
  const std::byte* bytes = ids_->data() + (span.first + first) * width;
  const std::size_t bad = widen(index_.type(), bytes, ids, vocabulary_size);
  if (bad == ids.size()) return;
  fail(
      "{}.bin: token {} of document {} has id {}, and the model has {} pieces; the shard was "
      "written by another tokenizer or is damaged",
      prefix_.string(), first + bad, document, id_at(index_.type(), bytes + bad * width),
      vocabulary_size);
}

std::uint64_t TokenShard::first_token(std::uint64_t document) const {
  return document == documents() ? tokens_ : span_of(document).first;
}

std::uint64_t TokenShard::document_of_token(std::uint64_t token) const {
  // The last document that begins at or before it; empty ones stand in front of the one meant.
  std::uint64_t low = 0, high = documents();
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (first_token(middle) <= token) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low > 0) {
    const Span span = span_of(low - 1);
    if (span.first <= token && token - span.first < span.count) return low - 1;
  }
  fail("{}.idx: no document holds token {}; the index is damaged", prefix_.string(), token);
}

void TokenShard::check() const {
  std::uint64_t expected = 0;
  for (std::uint64_t document = 0; document < documents(); ++document) {
    const Span span = span_of(document);
    if (span.first != expected)
      fail(
          "{}.idx: document {} begins at token {}, and the one before ends at {}; the index is "
          "damaged",
          prefix_.string(), document, span.first, expected);
    expected = span.first + span.count;
  }
}

}  // namespace tigerbot::data
