#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tigerbot::data {

/// How ids lie in a .bin file, by Megatron's code of the type.
enum class ShardType : std::uint8_t {
  kUint8 = 1,
  kInt8 = 2,
  kInt16 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kUint16 = 8,
};

/// Bytes of one id.
std::uint64_t shard_type_size(ShardType type);
/// "uint16"
std::string_view shard_type_name(ShardType type);
/// uint16 up to 65,535 pieces, else int32.
ShardType shard_type_for(std::int64_t vocabulary_size);

/// The .idx file of Megatron's indexed dataset (MMapIndexedDataset, version 1), as it lies in
/// memory; little-endian:
///
///   magic        "MMIDIDX\0\0"
///   version      uint64, 1
///   type         uint8, the code of the ids' type
///   sequences    uint64, n
///   documents    uint64, m + 1
///   sizes        int32 [n], tokens of each sequence
///   pointers     int64 [n], byte in the .bin file where each begins
///   documents    int64 [m + 1], first sequence of each document, then n
///
/// Files for pictures and text have one int8 a sequence more, which is passed over.
class ShardIndex {
 public:
  /// `file` is the whole file and must outlive this; `name` is its path for errors. Checks the
  /// header, the lengths and the ends; entries are checked when they are asked for.
  ShardIndex(std::span<const std::byte> file, std::string name);

  std::uint64_t documents() const { return documents_; }
  std::uint64_t sequences() const { return sequences_; }
  ShardType type() const { return type_; }

  /// Bytes of the .bin file: the end of the last sequence.
  std::uint64_t end() const;

  struct Bytes {
    std::uint64_t begin, end;
  };
  /// Where the ids of a document lie in the .bin file. An Error if an entry on the way is wild;
  /// `bin_size` is the size of that file.
  Bytes document(std::uint64_t document, std::uint64_t bin_size) const;

 private:
  std::uint64_t pointer(std::uint64_t sequence) const;
  std::uint64_t first_sequence(std::uint64_t document) const;

  std::string name_;
  const std::byte *sizes_ = nullptr, *pointers_ = nullptr, *document_starts_ = nullptr;
  std::uint64_t sequences_ = 0, documents_ = 0;
  ShardType type_ = ShardType::kInt32;
};

}  // namespace tigerbot::data
