#include "tokenizer/vocabulary.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace tigerbot {
namespace {

constexpr std::uint64_t kMaximumId = (std::uint64_t{1} << 21) - 2;

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {
  ids_.reserve(pieces_.size());
  for (std::size_t id = 0; id < pieces_.size(); ++id) {
    if (!pieces_[id].empty()) ids_[pieces_[id]] = static_cast<TokenId>(id);
  }
}

std::optional<TokenId> Vocabulary::id(std::string_view piece) const {
  const auto found = ids_.find(piece);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> read_json_vocabulary(const nlohmann::json& vocabulary,
                                              const std::string& where) {
  if (!vocabulary.is_object()) fail("{}: must be an object of pieces and ids", where);
  std::vector<std::string> pieces;
  pieces.reserve(vocabulary.size());
  for (auto item = vocabulary.begin(); item != vocabulary.end(); ++item) {
    const nlohmann::json& value = item.value();
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMaximumId) {
      fail("{}[\"{}\"]: an id must be a whole number of 0 to {}", where, item.key(), kMaximumId);
    }
    const auto id = static_cast<std::size_t>(value.get<std::uint64_t>());
    if (id >= pieces.size()) pieces.resize(id + 1);
    if (!pieces[id].empty()) {
      fail("{}: \"{}\" and \"{}\" have the same id {}", where, pieces[id], item.key(), id);
    }
    pieces[id] = item.key();
  }
  return pieces;
}

std::optional<std::vector<TokenId>> byte_piece_ids(const Vocabulary& vocabulary,
                                                   const std::string& where) {
  std::vector<TokenId> ids;
  std::string missing;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string piece = fmt::format("<0x{:02X}>", byte);
    if (const auto id = vocabulary.id(piece)) {
      ids.push_back(*id);
    } else {
      missing = piece;
    }
  }
  if (ids.empty()) return std::nullopt;
  if (!missing.empty()) fail("{}: byte_fallback is true, but {} is missing", where, missing);
  return ids;
}

}  // namespace tigerbot
