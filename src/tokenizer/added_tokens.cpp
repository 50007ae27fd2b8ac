#include "tokenizer/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "tokenizer/unicode_classes.h"

namespace tigerbot {
namespace {

// Where the character that ends at `end` begins.
std::size_t previous_character(std::string_view text, std::size_t end) {
  --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return end;
}

std::uint8_t class_before(std::string_view text, std::size_t end) {
  return CharacterClasses::get()[decode_valid_utf8(text, previous_character(text, end)).code_point];
}

std::uint8_t class_after(std::string_view text, std::size_t begin) {
  return CharacterClasses::get()[decode_valid_utf8(text, begin).code_point];
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens,
                                   const std::vector<std::string>& contents)
    : tokens_(std::move(tokens)), token_at_(1, -1) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (contents[i].empty()) continue;
    std::uint32_t node = 0;
    for (const char byte : contents[i]) {
      const std::uint64_t key = std::uint64_t{node} << 8 | static_cast<unsigned char>(byte);
      const auto [child, is_new] =
          children_.try_emplace(key, static_cast<std::uint32_t>(token_at_.size()));
      if (is_new) token_at_.push_back(-1);
      node = child->second;
    }
    if (token_at_[node] < 0) token_at_[node] = static_cast<std::int32_t>(i);
    const auto first = static_cast<unsigned char>(contents[i][0]);
    if (!starts_[first]) first_bytes_.push_back(contents[i][0]);
    starts_[first] = true;
  }
}

std::size_t AddedTokenFinder::next_candidate(std::string_view text, std::size_t position) const {
  if (first_bytes_.size() == 1) {
    const std::size_t found = text.find(first_bytes_[0], position);
    return found == std::string_view::npos ? text.size() : found;
  }
  while (position < text.size() && !starts_[static_cast<unsigned char>(text[position])]) ++position;
  return position;
}

std::size_t AddedTokenFinder::longest_match(std::string_view text, std::size_t position,
                                            std::int32_t& token) const {
  std::uint32_t node = 0;
  std::size_t longest = 0;
  for (std::size_t i = position; i < text.size(); ++i) {
    const auto child =
        children_.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(text[i]));
    if (child == children_.end()) break;
    node = child->second;
    if (token_at_[node] >= 0) {
      token = token_at_[node];
      longest = i + 1 - position;
    }
  }
  return longest;
}

std::vector<AddedTokenFinder::Segment> AddedTokenFinder::split(std::string_view text,
                                                               bool parse_special_tokens) const {
  std::vector<Segment> segments;
  std::size_t text_begin = 0;
  for (std::size_t position = next_candidate(text, 0); position < text.size();
       position = next_candidate(text, position)) {
    std::int32_t index = -1;
    const std::size_t length = longest_match(text, position, index);
    if (length == 0) {
      ++position;
      continue;
    }
    std::size_t begin = position, end = position + length;
    position = end;
    const AddedToken& token = tokens_[static_cast<std::size_t>(index)];
    if (token.special && !parse_special_tokens) continue;
    if (token.single_word) {
      if (begin > 0 && (class_before(text, begin) & character::kWord)) continue;
      if (end < text.size() && (class_after(text, end) & character::kWord)) continue;
    }
    if (token.lstrip) {
      while (begin > text_begin && (class_before(text, begin) & character::kSpace)) {
        begin = previous_character(text, begin);
      }
      begin = std::max(begin, text_begin);
    }
    if (token.rstrip) {
      while (end < text.size() && (class_after(text, end) & character::kSpace)) {
        end += decode_valid_utf8(text, end).length;
      }
    }
    if (text_begin < begin) segments.push_back({text.substr(text_begin, begin - text_begin)});
    segments.push_back({text.substr(begin, end - begin), &token});
    text_begin = end;
  }
  if (text_begin < text.size()) segments.push_back({text.substr(text_begin)});
  return segments;
}

}  // namespace tigerbot
