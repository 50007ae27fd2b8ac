#include "data/shards/shard_index.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace tigerbot::data {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are read as they lie");

constexpr std::string_view kMagic("MMIDIDX\0\0", 9);
constexpr std::uint64_t kHeaderSize = 9 + 8 + 1 + 8 + 8;

template <class T>
T value_at(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace

std::uint64_t shard_type_size(ShardType type) {
  switch (type) {
    case ShardType::kUint8:
    case ShardType::kInt8:
      return 1;
    case ShardType::kInt16:
    case ShardType::kUint16:
      return 2;
    case ShardType::kInt32:
      return 4;
    case ShardType::kInt64:
      return 8;
  }
  return 0;
}

std::string_view shard_type_name(ShardType type) {
  switch (type) {
    case ShardType::kUint8:
      return "uint8";
    case ShardType::kInt8:
      return "int8";
    case ShardType::kInt16:
      return "int16";
    case ShardType::kUint16:
      return "uint16";
    case ShardType::kInt32:
      return "int32";
    case ShardType::kInt64:
      return "int64";
  }
  return "";
}

ShardType shard_type_for(std::int64_t vocabulary_size) {
  return vocabulary_size <= 65535 ? ShardType::kUint16 : ShardType::kInt32;
}

ShardIndex::ShardIndex(std::span<const std::byte> file, std::string name) : name_(std::move(name)) {
  if (file.size() < kHeaderSize || std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0)
    fail("{}: not the index of a token shard (it does not begin with MMIDIDX)", name_);
  const std::byte* at = file.data() + kMagic.size();
  if (const auto version = value_at<std::uint64_t>(at); version != 1)
    fail("{}: version {} of the index format is not known; 1 is", name_, version);
  const auto code = value_at<std::uint8_t>(at + 8);
  type_ = static_cast<ShardType>(code);
  if (shard_type_size(type_) == 0)
    fail("{}: type {} is no type of token ids; this is not a shard of tokens", name_, code);
  sequences_ = value_at<std::uint64_t>(at + 9);
  const auto starts = value_at<std::uint64_t>(at + 17);
  // Each count is held against the size of the file before it is used, so that no sum overflows.
  const std::uint64_t rest = file.size() - kHeaderSize;
  if (sequences_ > rest / 12 || starts > rest / 8 || 12 * sequences_ + 8 * starts > rest)
    fail(
        "{}: the file is truncated: it has {} bytes and its header asks for {} sequences and {} "
        "document borders",
        name_, file.size(), sequences_, starts);
  const std::uint64_t behind = rest - 12 * sequences_ - 8 * starts;
  if (behind != 0 && behind != sequences_)
    fail("{}: {} bytes stand behind what its header announces", name_, behind);
  if (starts == 0) fail("{}: the list of documents is empty; it has at least an end", name_);
  documents_ = starts - 1;
  sizes_ = file.data() + kHeaderSize;
  pointers_ = sizes_ + 4 * sequences_;
  document_starts_ = pointers_ + 8 * sequences_;
  if (value_at<std::uint64_t>(document_starts_) != 0 ||
      value_at<std::uint64_t>(document_starts_ + 8 * documents_) != sequences_)
    fail("{}: the list of documents does not begin at sequence 0 and end at {}", name_, sequences_);
}

std::uint64_t ShardIndex::pointer(std::uint64_t sequence) const {
  return value_at<std::uint64_t>(pointers_ + 8 * sequence);
}

std::uint64_t ShardIndex::first_sequence(std::uint64_t document) const {
  return value_at<std::uint64_t>(document_starts_ + 8 * document);
}

std::uint64_t ShardIndex::end() const {
  if (sequences_ == 0) return 0;
  const auto size = value_at<std::int32_t>(sizes_ + 4 * (sequences_ - 1));
  const std::uint64_t begin = pointer(sequences_ - 1);
  if (size < 0 || begin > std::uint64_t{1} << 62)
    fail("{}: the last sequence is said to have {} tokens from byte {} on; the index is damaged",
         name_, size, begin);
  return begin + static_cast<std::uint64_t>(size) * shard_type_size(type_);
}

ShardIndex::Bytes ShardIndex::document(std::uint64_t document, std::uint64_t bin_size) const {
  if (document >= documents_)
    fail("{}: there is no document {}; it has {}", name_, document, documents_);
  const std::uint64_t first = first_sequence(document), last = first_sequence(document + 1);
  if (first > last || last > sequences_)
    fail("{}: document {} is said to be sequences {} to {} of {}", name_, document, first, last,
         sequences_);
  const std::uint64_t begin = first < sequences_ ? pointer(first) : bin_size;
  if (first == last && begin <= bin_size) return {begin, begin};
  const std::uint64_t width = shard_type_size(type_);
  const auto size = first == last ? 0 : value_at<std::int32_t>(sizes_ + 4 * (last - 1));
  const std::uint64_t last_begin = first == last ? begin : pointer(last - 1);
  const bool wild = begin > last_begin || last_begin > bin_size || size < 0 ||
                    static_cast<std::uint64_t>(size) > (bin_size - last_begin) / width;
  const std::uint64_t end = wild ? 0 : last_begin + static_cast<std::uint64_t>(size) * width;
  if (wild || begin % width != 0 || (end - begin) % width != 0)
    fail(
        "{}: document {} is said to lie at byte {} of a .bin file of {} bytes; the index is "
        "damaged or belongs to another file",
        name_, document, begin, bin_size);
  return {begin, end};
}

}  // namespace tigerbot::data
