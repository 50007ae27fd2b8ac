#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

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

  /// Appends the ids of one word; bytes up to `readable_end` may be read.
  void encode_word(const BpeModel& model, std::string_view word, const char* readable_end,
                   IdBuffer& ids);

 private:
  // A word of up to 16 bytes that gives up to 3 ids; two share a cache line.
  struct ShortWord {
    std::array<std::uint64_t, 2> key;
    std::array<TokenId, 3> ids;
    std::uint8_t size;  // bytes of the word; 0 where the place is free
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

  struct Lookup {
    std::array<std::uint64_t, 2> key;  // of a short word
    std::uint64_t hash;
  };
  static Lookup look(std::string_view word, const char* readable_end);
  void prefetch(const Lookup& lookup, std::size_t size) const;
  std::size_t encode_word(const BpeModel& model, std::string_view word, const Lookup& lookup,
                          const char* readable_end, TokenId* ids);
  std::size_t encode_new(const BpeModel& model, std::string_view word, const char* readable_end,
                         TokenId* ids);

  struct Unmap {
    std::size_t size = 0;
    void operator()(void* memory) const;
  };
  std::unique_ptr<ShortPair[], Unmap> short_words_;
  std::unique_ptr<LongWord[], Unmap> long_words_;
};

}  // namespace tigerbot
