#include "tokenizer/word_encoder.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace tigerbot {
namespace {

constexpr int kShortBits = 17, kLongBits = 14;
constexpr std::size_t kShortSize = 16, kLongSize = 63;
constexpr std::size_t kMoreIds = std::size_t{1} << 21;
constexpr std::uint8_t kPartTag = 0x80;

// Fresh zeroed memory straight from the system: pages that are never used cost nothing. Large pages
// spare the translation misses of lookups all over a table.
template <typename T>
T* map_zeroed(std::size_t count) {
  void* memory =
      mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  madvise(memory, count * sizeof(T), MADV_HUGEPAGE);
#endif
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

void WordEncoder::add_item(const BpeModel& model, std::string_view text, bool is_part,
                           Readable readable) {
  Item& item = items_[item_count_++];
  item_bytes_ += text.size();
  item.begin = text.data();
  item.size = static_cast<std::uint32_t>(text.size());
  item.is_part = is_part;
  if (text.size() == 1) return;
  if (text.size() <= kShortSize) {
    item.tag = static_cast<std::uint8_t>(text.size());
    // With ignore_merges a part may have other ids than the same bytes as a word.
    if (is_part && model.ignore_merges()) item.tag |= kPartTag;
    item.key = short_key(text, readable.end);
    item.hash =
        fold(item.key[0] ^ 0x9E3779B97F4A7C15u, item.key[1] ^ (0xD1B54A32D192ED03u + item.tag));
    __builtin_prefetch(&short_words_[item.hash >> (64 - kShortBits)]);
  } else if (text.size() <= kLongSize) {
    // The first and the last sixteen bytes tell most words apart.
    std::array<std::uint64_t, 4> parts;
    std::memcpy(parts.data(), text.data(), 16);
    std::memcpy(parts.data() + 2, text.data() + text.size() - 16, 16);
    item.hash =
        fold(fold(parts[0] ^ 0x9E3779B97F4A7C15u, parts[1] ^ 0xD1B54A32D192ED03u),
             fold(parts[2] ^ 0xA0761D6478BD642Fu, parts[3] ^ text.size()) ^ 0xE7037ED1A0B428DBu);
    const LongWord* entry = &long_words_[item.hash >> (64 - kLongBits)];
    __builtin_prefetch(entry);
    __builtin_prefetch(entry->ids.data());
  }
}

// Words with long runs beyond ASCII (a whole phrase in Chinese or Japanese) seldom come again, but
// their parts between cuts do.
void WordEncoder::add_word(const BpeModel& model, std::string_view word, Readable readable,
                           IdBuffer& ids) {
  if (item_count_ == kItems) flush(model, ids);
  if (word.size() <= kShortSize || model.lacks_byte_of(word)) {
    add_item(model, word, false, readable);
    return;
  }
  for (std::size_t begin = 0; begin < word.size();) {
    const std::size_t cut = model.next_cut(word, begin, readable.begin, readable.end);
    if (item_count_ == kItems) flush(model, ids);
    add_item(model, word.substr(begin, cut - begin), cut - begin != word.size(), readable);
    begin = cut;
  }
}

void WordEncoder::flush(const BpeModel& model, IdBuffer& ids) {
  // A hit may store more ids than it has, hence the slack.
  TokenId* const room = ids.room(item_bytes_ + kShortSize);
  TokenId* next = room;
  for (std::size_t i = 0; i < item_count_; ++i) next += encode_item(model, items_[i], next);
  ids.commit(static_cast<std::size_t>(next - room));
  item_count_ = 0;
  item_bytes_ = 0;
}

void WordEncoder::encode(const BpeModel& model, ScannerKind scanner, std::string_view text,
                         IdBuffer& ids) {
  const Readable readable{text.data(), text.data() + text.size()};
  std::array<std::size_t, kItems> ends;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t count = scan_words(scanner, text, begin, ends);
    for (std::size_t i = 0; i < count; ++i) {
      add_word(model, std::string_view(text.data() + begin, ends[i] - begin), readable, ids);
      begin = ends[i];
    }
  }
  flush(model, ids);
}

void WordEncoder::encode_word(const BpeModel& model, std::string_view word, IdBuffer& ids) {
  if (word.empty()) return;
  add_word(model, word, {word.data(), word.data() + word.size()}, ids);
  flush(model, ids);
}

std::size_t WordEncoder::encode_item(const BpeModel& model, const Item& item, TokenId* ids) {
  if (item.size == 1) {
    ids[0] = model.byte_id(*item.begin);
    return ids[0] >= 0 ? 1 : 0;
  }
  if (item.size > kShortSize) return encode_long(model, item, ids);
  ShortPair& pair = short_words_[item.hash >> (64 - kShortBits)];
  const auto matches = [&](const ShortWord& entry) {
    return entry.tag == item.tag && entry.key == item.key;
  };
  if (!matches(pair.recent)) {
    if (!matches(pair.older)) return encode_new_short(model, item, pair, ids);
    std::swap(pair.recent, pair.older);
  }
  const ShortWord& entry = pair.recent;
  if (entry.count > entry.ids.size()) {
    // A short word has no more ids than bytes: a copy of fixed size needs no loop.
    std::memcpy(ids, more_ids_.data() + entry.ids[0], kShortSize * sizeof(TokenId));
  } else {
    std::memcpy(ids, entry.ids.data(), sizeof entry.ids);
  }
  return entry.count;
}

std::size_t WordEncoder::encode_new_short(const BpeModel& model, const Item& item, ShortPair& pair,
                                          TokenId* ids) {
  const std::size_t count =
      item.is_part ? model.merge(item.text(), ids) : model.encode(item.text(), ids);
  ShortWord entry{item.key, {ids[0], ids[1], ids[2]}, item.tag, static_cast<std::uint8_t>(count)};
  if (count > entry.ids.size()) {
    if (more_count_ + kShortSize > more_ids_.size()) {
      if (more_ids_.size() >= kMoreIds) {
        // Full: forget everything. This is rare.
        std::memset(short_words_.get(), 0, sizeof(ShortPair) << kShortBits);
        more_count_ = 0;
      } else {
        more_ids_.resize(std::max<std::size_t>(more_ids_.size() * 2, 4096));
      }
    }
    entry.ids[0] = static_cast<TokenId>(more_count_);
    std::copy_n(ids, count, more_ids_.data() + more_count_);
    more_count_ += count;
  }
  pair.older = pair.recent;
  pair.recent = entry;
  return count;
}

std::size_t WordEncoder::encode_long(const BpeModel& model, const Item& item, TokenId* ids) {
  const auto encode = [&] {
    return item.is_part ? model.merge(item.text(), ids) : model.encode(item.text(), ids);
  };
  if (item.size > kLongSize || (item.is_part && model.ignore_merges())) return encode();
  LongWord& entry = long_words_[item.hash >> (64 - kLongBits)];
  const std::array<std::uint64_t, 8> key = long_key(item.text());
  if (entry.key == key) {
    std::copy_n(entry.ids.data(), entry.count, ids);
    return entry.count;
  }
  const std::size_t count = encode();
  if (count <= entry.ids.size()) {
    entry.key = key;
    entry.count = static_cast<std::uint32_t>(count);
    std::copy_n(ids, count, entry.ids.data());
  }
  return count;
}

}  // namespace tigerbot
