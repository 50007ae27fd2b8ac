#include "tokenizer/word_encoder.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace tigerbot {
namespace {

constexpr int kShortBits = 16, kLongBits = 14;
constexpr std::size_t kShortSize = 16, kLongSize = 63;
// Words whose places in the tables are fetched together, so that their cache misses overlap.
constexpr std::size_t kBlock = 64;
// From this length on, words with characters beyond ASCII are cut where nothing joins.
constexpr std::size_t kCutSize = 7;

// Fresh zeroed memory straight from the system: pages that are never used cost nothing.
template <typename T>
T* map_zeroed(std::size_t count) {
  void* memory =
      mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<T*>(memory);
}

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// The bytes of a word of up to 16, zero after its end.
std::array<std::uint64_t, 2> short_key(std::string_view word, const char* readable_end) {
  std::array<std::uint64_t, 2> key{};
  if (readable_end - word.data() >= 16) {
    std::memcpy(key.data(), word.data(), 16);
    const std::size_t bits = word.size() * 8;
    if (bits <= 64) {
      key[1] = 0;
      key[0] &= ~std::uint64_t{0} >> (64 - bits);
    } else {
      key[1] &= ~std::uint64_t{0} >> (128 - bits);
    }
  } else {
    std::memcpy(key.data(), word.data(), word.size());
  }
  return key;
}

std::array<std::uint64_t, 8> long_key(std::string_view word) {
  std::array<std::uint64_t, 8> key{};
  std::memcpy(key.data(), word.data(), word.size());
  key[7] |= std::uint64_t{word.size()} << 56;
  return key;
}

}  // namespace

WordEncoder::WordEncoder()
    : short_words_(map_zeroed<ShortPair>(std::size_t{1} << kShortBits),
                   {sizeof(ShortPair) << kShortBits}),
      long_words_(map_zeroed<LongWord>(std::size_t{1} << kLongBits),
                  {sizeof(LongWord) << kLongBits}) {}

void WordEncoder::Unmap::operator()(void* memory) const { munmap(memory, size); }

WordEncoder::Lookup WordEncoder::look(std::string_view word, const char* readable_end) {
  Lookup lookup;
  if (word.size() <= kShortSize) {
    lookup.key = short_key(word, readable_end);
    lookup.hash = fold(lookup.key[0] ^ 0x9E3779B97F4A7C15u,
                       lookup.key[1] ^ (0xD1B54A32D192ED03u + word.size()));
  } else {
    // The first and the last sixteen bytes tell most words apart.
    std::array<std::uint64_t, 4> parts;
    std::memcpy(parts.data(), word.data(), 16);
    std::memcpy(parts.data() + 2, word.data() + word.size() - 16, 16);
    lookup.hash =
        fold(fold(parts[0] ^ 0x9E3779B97F4A7C15u, parts[1] ^ 0xD1B54A32D192ED03u),
             fold(parts[2] ^ 0xA0761D6478BD642Fu, parts[3] ^ word.size()) ^ 0xE7037ED1A0B428DBu);
  }
  return lookup;
}

void WordEncoder::prefetch(const Lookup& lookup, std::size_t size) const {
  if (size <= kShortSize) {
    __builtin_prefetch(&short_words_[lookup.hash >> (64 - kShortBits)]);
  } else if (size <= kLongSize) {
    const LongWord* entry = &long_words_[lookup.hash >> (64 - kLongBits)];
    __builtin_prefetch(entry);
    __builtin_prefetch(entry->ids.data());
  }
}

void WordEncoder::encode(const BpeModel& model, ScannerKind scanner, std::string_view text,
                         IdBuffer& ids) {
  const char* const readable_end = text.data() + text.size();
  std::array<std::size_t, kBlock> ends;
  std::array<Lookup, kBlock> lookups;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t count = scan_words(scanner, text, begin, ends);
    std::size_t word_begin = begin;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view word(text.data() + word_begin, ends[i] - word_begin);
      lookups[i] = look(word, readable_end);
      prefetch(lookups[i], word.size());
      word_begin = ends[i];
    }
    // A hit stores three ids at once, hence the slack.
    TokenId* const room = ids.room(word_begin - begin + 16);
    TokenId* next = room;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view word(text.data() + begin, ends[i] - begin);
      next += encode_word(model, word, lookups[i], readable_end, next);
      begin = ends[i];
    }
    ids.commit(static_cast<std::size_t>(next - room));
  }
}

void WordEncoder::encode_word(const BpeModel& model, std::string_view word,
                              const char* readable_end, IdBuffer& ids) {
  if (word.empty()) return;
  TokenId* const room = ids.room(word.size() + 16);
  ids.commit(encode_word(model, word, look(word, readable_end), readable_end, room));
}

std::size_t WordEncoder::encode_word(const BpeModel& model, std::string_view word,
                                     const Lookup& lookup, const char* readable_end, TokenId* ids) {
  if (word.size() <= kShortSize) {
    ShortPair& pair = short_words_[lookup.hash >> (64 - kShortBits)];
    const auto matches = [&](const ShortWord& entry) {
      return entry.size == word.size() && entry.key == lookup.key;
    };
    if (matches(pair.recent)) {
      std::memcpy(ids, pair.recent.ids.data(), sizeof pair.recent.ids);
      return pair.recent.count;
    }
    if (matches(pair.older)) {
      std::memcpy(ids, pair.older.ids.data(), sizeof pair.older.ids);
      std::swap(pair.recent, pair.older);
      return pair.recent.count;
    }
    const std::size_t count = encode_new(model, word, readable_end, ids);
    if (count <= 3) {
      ShortPair& place = short_words_[lookup.hash >> (64 - kShortBits)];
      place.older = place.recent;
      place.recent = {lookup.key,
                      {ids[0], ids[1], ids[2]},
                      static_cast<std::uint8_t>(word.size()),
                      static_cast<std::uint8_t>(count)};
    }
    return count;
  }
  if (word.size() > kLongSize) return encode_new(model, word, readable_end, ids);
  LongWord& entry = long_words_[lookup.hash >> (64 - kLongBits)];
  const std::array<std::uint64_t, 8> key = long_key(word);
  if (entry.key == key) {
    std::copy_n(entry.ids.data(), entry.count, ids);
    return entry.count;
  }
  const std::size_t count = encode_new(model, word, readable_end, ids);
  if (count <= entry.ids.size()) {
    entry.key = key;
    entry.count = static_cast<std::uint32_t>(count);
    std::copy_n(ids, count, entry.ids.data());
  }
  return count;
}

// A word that no table holds. Its parts between cuts go through the tables in turn.
std::size_t WordEncoder::encode_new(const BpeModel& model, std::string_view word, const char*,
                                    TokenId* ids) {
  if (word.size() >= kCutSize && !model.lacks_byte_of(word)) {
    std::size_t cut = model.next_cut(word, 0);
    if (cut != word.size()) {
      if (const auto id = model.whole_word(word)) {
        ids[0] = *id;
        return 1;
      }
      std::size_t count = 0;
      for (std::size_t begin = 0; begin < word.size();) {
        const std::string_view part = word.substr(begin, cut - begin);
        count += model.encode_part(part, ids + count);
        begin = cut;
        if (begin < word.size()) cut = model.next_cut(word, begin);
      }
      return count;
    }
  }
  return model.encode(word, ids);
}

}  // namespace tigerbot
