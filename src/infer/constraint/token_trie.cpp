#include "infer/constraint/token_trie.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "base/error.h"
#include "tokenizer/byte_level_alphabet.h"

namespace tigerbot::constraint {

namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // SentencePiece's space

/// "<0xE4>" is a byte; any other piece is text with its own sign for a space.
std::string sentencepiece_bytes(std::string_view piece) {
  if (piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>')) {
    unsigned value = 0;
    const char* const first = piece.data() + 3;
    if (std::from_chars(first, first + 2, value, 16).ptr == first + 2) {
      return {static_cast<char>(value)};
    }
  }
  std::string text;
  while (!piece.empty()) {
    if (piece.starts_with(kSpaceSymbol)) {
      text += ' ';
      piece.remove_prefix(kSpaceSymbol.size());
    } else {
      text += piece[0];
      piece.remove_prefix(1);
    }
  }
  return text;
}

/// Asked of the tokenizer itself, with the first piece that begins with a space and goes on.
bool loses_first_space(const Tokenizer& tokenizer, const std::vector<std::string>& bytes) {
  for (std::size_t id = 0; id < bytes.size(); ++id) {
    if (bytes[id].size() < 2 || bytes[id][0] != ' ' || bytes[id][1] < 'a' || bytes[id][1] > 'z') {
      continue;
    }
    const TokenId token = static_cast<TokenId>(id);
    return !tokenizer.decode({&token, 1}, true).starts_with(' ');
  }
  return false;
}

}  // namespace

std::int64_t TokenBytes::longest() const {
  std::size_t longest = 0;
  for (const std::string& bytes : of) longest = std::max(longest, bytes.size());
  return static_cast<std::int64_t>(longest);
}

TokenBytes token_bytes(const Tokenizer& tokenizer) {
  const bool byte_level = tokenizer.kind.find("byte-level") != std::string::npos;
  if (tokenizer.kind.find("WordPiece") != std::string::npos) {
    fail("answers of a {} tokenizer cannot be constrained; byte-level BPE and SentencePiece can",
         tokenizer.kind);
  }
  TokenBytes tokens;
  const std::int64_t size =
      std::min(tokenizer.size(), tokenizer.padding_from.value_or(tokenizer.size()));
  for (TokenId id = 0; id < size; ++id) {
    std::string bytes;
    if (!tokenizer.is_special(id)) {
      const std::string piece = tokenizer.piece(id);
      bytes = byte_level ? from_byte_level(piece).value_or(piece) : sentencepiece_bytes(piece);
    }
    tokens.of.push_back(std::move(bytes));
  }
  tokens.first_loses_space = !byte_level && loses_first_space(tokenizer, tokens.of);
  return tokens;
}

TokenTrie::TokenTrie(TokenBytes tokens) : tokens_(std::move(tokens)), longest_(tokens_.longest()) {
  constexpr std::int64_t kMaxLength = 60'000;
  if (longest_ > kMaxLength) fail("a token of {} bytes is too long to be constrained", longest_);
  std::vector<TokenId> order(tokens_.of.size());
  std::iota(order.begin(), order.end(), 0);
  const auto text = [&](TokenId id) -> const std::string& {
    return tokens_.of[static_cast<std::size_t>(id)];
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](TokenId a, TokenId b) { return text(a) < text(b); });
  nodes_.push_back({0, -1, 0, 0});
  std::vector<std::int32_t> path{kRoot};  // nodes from the root to the last one
  const auto leave = [&](std::size_t depth) {
    for (; path.size() > depth + 1; path.pop_back()) {
      nodes_[static_cast<std::size_t>(path.back())].end = static_cast<std::int32_t>(nodes_.size());
    }
  };
  std::string_view last;
  for (const TokenId id : order) {
    const std::string& bytes = text(id);
    if (bytes.empty()) continue;
    const auto common = static_cast<std::size_t>(
        std::mismatch(last.begin(), last.end(), bytes.begin(), bytes.end()).first - last.begin());
    leave(common);
    for (std::size_t depth = common; depth < bytes.size(); ++depth) {
      path.push_back(static_cast<std::int32_t>(nodes_.size()));
      nodes_.push_back(
          {0, -1, static_cast<std::uint16_t>(depth + 1), static_cast<std::uint8_t>(bytes[depth])});
    }
    Node& node = nodes_[static_cast<std::size_t>(path.back())];
    if (node.token == -1) {
      node.token = id;
    } else if (node.token >= 0) {
      several_.push_back({node.token, id});
      node.token = static_cast<std::int32_t>(-1 - static_cast<std::int64_t>(several_.size()));
    } else {
      several_[static_cast<std::size_t>(-2 - node.token)].push_back(id);
    }
    last = bytes;
  }
  leave(0);
  nodes_[0].end = static_cast<std::int32_t>(nodes_.size());
  for (std::int32_t i = 1; i < nodes_[0].end; i = nodes_[static_cast<std::size_t>(i)].end) {
    if (nodes_[static_cast<std::size_t>(i)].byte == ' ') space_ = i;
  }
}

}  // namespace tigerbot::constraint
