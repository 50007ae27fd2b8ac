#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace tigerbot::data {

/// What the phrases of a text say about its kind.
enum class PhraseGroup : std::uint8_t {
  kAdvertisement,  ///< "free shipping", "加微信", "送料無料", "카톡 문의"
  kChat,           ///< "lol", "哈哈", "www", "ㅋㅋ": spoken and chat language
  kPlaceholder,    ///< "lorem ipsum", "undefined undefined", "锟斤拷": no text at all
  kTeaser,         ///< "read more", "阅读全文": a text that goes on elsewhere
  kCount,
};

struct PhraseCounts {
  std::array<std::uint32_t, static_cast<std::size_t>(PhraseGroup::kCount)> hits{};
  std::array<std::uint32_t, static_cast<std::size_t>(PhraseGroup::kCount)> distinct{};
  std::array<std::string, static_cast<std::size_t>(PhraseGroup::kCount)> first;
  bool teaser_at_end = false;  ///< a teaser in the last 60 bytes

  std::uint32_t count(PhraseGroup group) const { return hits[static_cast<std::size_t>(group)]; }
  std::uint32_t kinds(PhraseGroup group) const { return distinct[static_cast<std::size_t>(group)]; }
  const std::string& example(PhraseGroup group) const {
    return first[static_cast<std::size_t>(group)];
  }
};

/// Counts the built-in phrases of all languages in a text.
PhraseCounts count_phrases(std::string_view text);

}  // namespace tigerbot::data
