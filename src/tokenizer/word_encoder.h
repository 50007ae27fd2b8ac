#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tokenizer/bpe_model.h"
#include "tokenizer/id_buffer.h"
#include "tokenizer/scanner.h"

namespace tigerbot {

/// Encodes the words of a text with a memory of the words met before. One thread's working memory:
/// a fixed size, kept from call to call, always used with the same model.
class WordEncoder {
 public:
  WordEncoder();

  /// Appends the ids of the pieces that the scanner finds in `text` (valid UTF-8).
  void encode(const BpeModel& model, ScannerKind scanner, std::string_view text, IdBuffer& ids);

  /// Appends the ids of one word.
  void encode_word(const BpeModel& model, std::string_view word, IdBuffer& ids);

 private:
  // A word of up to 16 bytes; two share a cache line. More ids than three are in more_ids_, from
  // place ids[0] on.
  struct ShortWord {
    std::array<std::uint64_t, 2> key;
    std::array<TokenId, 3> ids;
    std::uint8_t tag;  // see Item; 0 where the place is free
    std::uint8_t count;
  };
  struct alignas(64) ShortPair {
    ShortWord recent, older;
  };
  // A word of up to 63 bytes and 15 ids; the last byte of the key is its length.
  struct alignas(64) LongWord {
    std::array<std::uint64_t, 8> key;
    std::array<TokenId, 15> ids;
    std::uint32_t count;
  };
  static_assert(sizeof(ShortPair) == 64 && sizeof(LongWord) == 128);

  // A word, or a part of one between cuts, that awaits its ids.
  struct Item {
    const char* begin;
    std::uint32_t size;
    std::uint8_t tag;  // of a short word: its size, and whether it is a part
    bool is_part;
    std::uint64_t hash;
    std::array<std::uint64_t, 2> key;  // of a short word
    std::string_view text() const { return {begin, size}; }
  };
  // What may be read around a word.
  struct Readable {
    const char *begin, *end;
  };
  void add_item(const BpeModel& model, std::string_view text, bool is_part, Readable readable);
  void add_word(const BpeModel& model, std::string_view word, Readable readable, IdBuffer& ids);
  void flush(const BpeModel& model, IdBuffer& ids);
  std::size_t encode_item(const BpeModel& model, const Item& item, TokenId* ids);
  std::size_t encode_long(const BpeModel& model, const Item& item, TokenId* ids);

  std::size_t encode_new_short(const BpeModel& model, const Item& item, ShortPair& pair,
                               TokenId* ids);

  std::vector<TokenId> more_ids_;
  std::size_t more_count_ = 0;

  // Items are collected so that the cache misses of their lookups overlap.
  static constexpr std::size_t kItems = 64;
  std::array<Item, kItems> items_;
  std::size_t item_count_ = 0;
  std::size_t item_bytes_ = 0;

  struct Unmap {
    std::size_t size = 0;
    void operator()(void* memory) const;
  };
  std::unique_ptr<ShortPair[], Unmap> short_words_;
  std::unique_ptr<LongWord[], Unmap> long_words_;
};

}  // namespace tigerbot
