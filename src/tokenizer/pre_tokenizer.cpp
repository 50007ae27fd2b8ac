#include "tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/json_node.h"
#include "tokenizer/pattern.h"
#include "tokenizer/unicode_classes.h"

namespace tigerbot {
namespace {

using nlohmann::json;

// A part of a text that matched a delimiter, or lay between two.
struct Range {
  std::size_t begin, end;
  bool is_match;
};
using Matches = std::vector<std::pair<std::size_t, std::size_t>>;

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

Behavior behavior_field(const json& node, const std::string& where) {
  const std::string name = string_field(node, "behavior", where);
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  fail("{}: unknown behavior \"{}\"", where, name);
}

std::vector<Range> ranges_of(const Matches& matches, std::size_t size, bool invert) {
  std::vector<Range> ranges;
  std::size_t last = 0;
  for (const auto& [begin, end] : matches) {
    if (last != begin) ranges.push_back({last, begin, invert});
    ranges.push_back({begin, end, !invert});
    last = end;
  }
  if (last != size) ranges.push_back({last, size, invert});
  return ranges;
}

// A match joins what precedes it, unless that is a match that has just done so.
std::vector<Range> merge_with_previous(const std::vector<Range>& ranges) {
  std::vector<Range> merged;
  bool previous_match = false;
  for (const Range& range : ranges) {
    if (range.is_match && !previous_match && !merged.empty()) {
      merged.back().end = range.end;
    } else {
      merged.push_back({range.begin, range.end, false});
    }
    previous_match = range.is_match;
  }
  return merged;
}

std::vector<Range> merge_with_next(const std::vector<Range>& ranges) {
  std::vector<Range> merged;
  bool next_match = false;
  for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) {
    if (range->is_match && !next_match && !merged.empty()) {
      merged.back().begin = range->begin;
    } else {
      merged.push_back({range->begin, range->end, false});
    }
    next_match = range->is_match;
  }
  std::reverse(merged.begin(), merged.end());
  return merged;
}

std::vector<Range> apply(Behavior behavior, std::vector<Range> ranges) {
  switch (behavior) {
    case Behavior::kIsolated:
      return ranges;
    case Behavior::kRemoved:
      std::erase_if(ranges, [](const Range& range) { return range.is_match; });
      return ranges;
    case Behavior::kMergedWithPrevious:
      return merge_with_previous(ranges);
    case Behavior::kMergedWithNext:
      return merge_with_next(ranges);
    case Behavior::kContiguous:
      break;
  }
  std::vector<Range> merged;
  for (const Range& range : ranges) {
    if (!merged.empty() && merged.back().is_match == range.is_match) {
      merged.back().end = range.end;
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

void append(const Pieces::Piece& piece, const std::vector<Range>& ranges, Pieces& out) {
  for (const Range& range : ranges) {
    if (range.begin == range.end) continue;
    out.pieces.push_back({piece.text.substr(range.begin, range.end - range.begin),
                          piece.at_start && range.begin == 0});
  }
}

// Splits where `find` finds delimiters.
class SplitStep : public PreTokenizerStep {
 public:
  using Find = std::function<Matches(std::string_view)>;
  SplitStep(Find find, Behavior behavior, bool invert)
      : find_(std::move(find)), behavior_(behavior), invert_(invert) {}
  void split(const Pieces::Piece& piece, Pieces& out) const override {
    append(piece, apply(behavior_, ranges_of(find_(piece.text), piece.text.size(), invert_)), out);
  }

 private:
  Find find_;
  Behavior behavior_;
  bool invert_;
};

// Every character with one of `classes` is a match of its own.
SplitStep::Find find_characters(std::uint8_t classes) {
  return [classes](std::string_view text) {
    Matches matches;
    const CharacterClasses& table = CharacterClasses::get();
    for (std::size_t i = 0; i < text.size();) {
      const ValidCharacter character = decode_valid_utf8(text, i);
      if (table[character.code_point] & classes) matches.emplace_back(i, i + character.length);
      i += character.length;
    }
    return matches;
  };
}

SplitStep::Find find_literal(std::string literal) {
  return [literal = std::move(literal)](std::string_view text) {
    Matches matches;
    if (literal.empty()) return matches;
    for (std::size_t at = text.find(literal); at != std::string_view::npos;
         at = text.find(literal, at + literal.size())) {
      matches.emplace_back(at, at + literal.size());
    }
    return matches;
  };
}

// \w+|[^\w\s]+ with Rust's \w.
Matches find_words_and_symbols(std::string_view text) {
  Matches matches;
  const CharacterClasses& table = CharacterClasses::get();
  const auto kind = [&](char32_t code_point) {
    const std::uint8_t bits = table[code_point];
    return (bits & character::kWord) ? 1 : (bits & character::kSpace) ? 0 : 2;
  };
  int last = 0;
  for (std::size_t i = 0; i < text.size();) {
    const ValidCharacter character = decode_valid_utf8(text, i);
    const int here = kind(character.code_point);
    if (here != 0 && here == last) {
      matches.back().second += character.length;
    } else if (here != 0) {
      matches.emplace_back(i, i + character.length);
    }
    last = here;
    i += character.length;
  }
  return matches;
}

class ScannerStep : public PreTokenizerStep {
 public:
  explicit ScannerStep(ScannerKind kind) : kind_(kind) {}
  void split(const Pieces::Piece& piece, Pieces& out) const override {
    std::size_t ends[64];
    for (std::size_t begin = 0; begin < piece.text.size();) {
      const std::size_t count = scan_words(kind_, piece.text, begin, ends);
      for (std::size_t i = 0; i < count; ++i) {
        out.pieces.push_back(
            {piece.text.substr(begin, ends[i] - begin), piece.at_start && begin == 0});
        begin = ends[i];
      }
    }
  }

 private:
  ScannerKind kind_;
};

// Puts a space before a piece that has none.
class PrefixSpaceStep : public PreTokenizerStep {
 public:
  void split(const Pieces::Piece& piece, Pieces& out) const override {
    if (piece.text.starts_with(' ')) {
      out.pieces.push_back(piece);
    } else {
      out.storage.push_back(" " + std::string(piece.text));
      out.pieces.push_back({out.storage.back(), piece.at_start});
    }
  }
};

// Spells every byte in the byte-level alphabet.
class ByteLevelStep : public PreTokenizerStep {
 public:
  void split(const Pieces::Piece& piece, Pieces& out) const override {
    out.storage.push_back(to_byte_level(piece.text));
    out.pieces.push_back({out.storage.back(), piece.at_start});
  }
};

// BERT: white space goes, every punctuation mark is a piece of its own.
class BertStep : public PreTokenizerStep {
 public:
  void split(const Pieces::Piece& piece, Pieces& out) const override {
    const CharacterClasses& table = CharacterClasses::get();
    std::vector<Range> ranges;
    std::size_t begin = 0;  // of the word that is being read
    for (std::size_t i = 0; i < piece.text.size();) {
      const ValidCharacter character = decode_valid_utf8(piece.text, i);
      const std::size_t end = i + character.length;
      const std::uint8_t bits = table[character.code_point];
      if (bits & (character::kSpace | character::kPunctuation)) {
        ranges.push_back({begin, i, false});
        if (!(bits & character::kSpace)) ranges.push_back({i, end, false});
        begin = end;
      }
      i = end;
    }
    ranges.push_back({begin, piece.text.size(), false});
    append(piece, ranges, out);
  }
};

enum class PrependScheme { kAlways, kNever, kFirst };

class MetaspaceStep : public PreTokenizerStep {
 public:
  MetaspaceStep(std::string replacement, PrependScheme scheme, bool split)
      : replacement_(std::move(replacement)),
        scheme_(scheme),
        split_(split),
        find_(find_literal(replacement_)) {}

  void split(const Pieces::Piece& piece, Pieces& out) const override {
    std::string text;
    for (const char byte : piece.text) {
      if (byte == ' ') {
        text += replacement_;
      } else {
        text.push_back(byte);
      }
    }
    const bool prepend =
        scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && piece.at_start);
    if (prepend && !text.starts_with(replacement_)) text.insert(0, replacement_);
    out.storage.push_back(std::move(text));
    const Pieces::Piece rewritten{out.storage.back(), piece.at_start};
    if (split_) {
      append(rewritten,
             apply(Behavior::kMergedWithNext,
                   ranges_of(find_(rewritten.text), rewritten.text.size(), false)),
             out);
    } else {
      out.pieces.push_back(rewritten);
    }
  }

 private:
  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
  SplitStep::Find find_;
};

// Pieces of `length` characters.
class FixedLengthStep : public PreTokenizerStep {
 public:
  explicit FixedLengthStep(std::int64_t length) : length_(length) {}
  void split(const Pieces::Piece& piece, Pieces& out) const override {
    std::vector<Range> ranges;
    std::int64_t count = 0;
    for (std::size_t i = 0; i < piece.text.size();) {
      const std::uint32_t size = decode_valid_utf8(piece.text, i).length;
      if (count++ % length_ == 0) ranges.push_back({i, i, false});
      i += size;
      ranges.back().end = i;
    }
    append(piece, ranges, out);
  }

 private:
  std::int64_t length_;
};

std::string one_character_field(const json& node, const char* key, const std::string& where) {
  std::string value = string_field(node, key, where);
  if (value.empty() || decode_valid_utf8(value, 0).length != value.size()) {
    fail("{}: \"{}\" must be one character", where, key);
  }
  return value;
}

std::unique_ptr<PreTokenizerStep> make_metaspace(const json& node, const std::string& where) {
  expect_keys(node,
              {"type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"},
              where);
  const bool add_prefix_space = bool_field(node, "add_prefix_space", true, where);
  const auto scheme_name = optional_string_field(node, "prepend_scheme", where);
  PrependScheme scheme = PrependScheme::kAlways;
  if (scheme_name == "never") {
    scheme = PrependScheme::kNever;
  } else if (scheme_name == "first") {
    scheme = PrependScheme::kFirst;
  } else if (scheme_name && scheme_name != "always") {
    fail("{}: unknown prepend_scheme \"{}\"", where, *scheme_name);
  }
  if (!add_prefix_space) {
    if (scheme_name && scheme != PrependScheme::kNever) {
      fail("{}: add_prefix_space is false but prepend_scheme is \"{}\"", where, *scheme_name);
    }
    scheme = PrependScheme::kNever;
  }
  return std::make_unique<MetaspaceStep>(one_character_field(node, "replacement", where), scheme,
                                         bool_field(node, "split", true, where));
}

std::unique_ptr<PreTokenizerStep> make_split(const json& node, std::optional<ScannerKind>& scanner,
                                             const std::string& where) {
  expect_keys(node, {"type", "pattern", "behavior", "invert"}, where);
  const Behavior behavior = behavior_field(node, where);
  const bool invert = bool_field(node, "invert", false, where);
  const json& pattern = required_node(node, "pattern", where);
  expect_keys(pattern, {"String", "Regex"}, where + ".pattern");
  if (pattern.contains("String")) {
    return std::make_unique<SplitStep>(
        find_literal(string_field(pattern, "String", where + ".pattern")), behavior, invert);
  }
  const std::string expression = string_field(pattern, "Regex", where + ".pattern");
  const auto found = scanner_of_pattern(expression);
  // With a pattern that matches everything, Removed and invert keep the matches as they are.
  const bool keeps_matches =
      behavior == Behavior::kIsolated ||
      (behavior == Behavior::kRemoved && invert && found && found != ScannerKind::kBloom);
  if (found && keeps_matches) {
    scanner = found;
    return std::make_unique<ScannerStep>(*found);
  }
  auto compiled = std::make_shared<Pattern>(expression, where);
  return std::make_unique<SplitStep>(
      [compiled](std::string_view text) { return compiled->find_all(text); }, behavior, invert);
}

// One node that is no sequence and no ByteLevel; `scanner` is set where one is the same.
std::unique_ptr<PreTokenizerStep> make_step(const std::string& type, const json& node,
                                            std::optional<ScannerKind>& scanner,
                                            const std::string& where) {
  if (type == "Split") return make_split(node, scanner, where);
  if (type == "Digits") {
    expect_keys(node, {"type", "individual_digits"}, where);
    const bool individual = bool_field(node, "individual_digits", false, where);
    return std::make_unique<SplitStep>(find_characters(character::kNumeric),
                                       individual ? Behavior::kIsolated : Behavior::kContiguous,
                                       false);
  }
  if (type == "Punctuation") {
    expect_keys(node, {"type", "behavior"}, where);
    const Behavior behavior =
        node.contains("behavior") ? behavior_field(node, where) : Behavior::kIsolated;
    return std::make_unique<SplitStep>(find_characters(character::kPunctuation), behavior, false);
  }
  if (type == "Whitespace") {
    expect_keys(node, {"type"}, where);
    return std::make_unique<SplitStep>(find_words_and_symbols, Behavior::kRemoved, true);
  }
  if (type == "BertPreTokenizer") {
    expect_keys(node, {"type"}, where);
    return std::make_unique<BertStep>();
  }
  if (type == "WhitespaceSplit") {
    expect_keys(node, {"type"}, where);
    return std::make_unique<SplitStep>(find_characters(character::kSpace), Behavior::kRemoved,
                                       false);
  }
  if (type == "CharDelimiterSplit") {
    expect_keys(node, {"type", "delimiter"}, where);
    return std::make_unique<SplitStep>(find_literal(one_character_field(node, "delimiter", where)),
                                       Behavior::kRemoved, false);
  }
  if (type == "Metaspace") return make_metaspace(node, where);
  if (type == "FixedLength") {
    expect_keys(node, {"type", "length"}, where);
    const std::int64_t length = integer_field(node, "length", 1 << 30, where);
    if (length == 0) fail("{}: \"length\" must be at least 1", where);
    return std::make_unique<FixedLengthStep>(length);
  }
  fail("{}: unknown pre-tokenizer \"{}\"", where, type);
}

// The nodes of nested sequences, in order.
void flatten(const json& node, const std::string& where, int depth,
             std::vector<std::pair<const json*, std::string>>& nodes) {
  if (depth > 16) fail("{}: sequences are nested too deep", where);
  if (string_field(node, "type", where) != "Sequence") {
    nodes.emplace_back(&node, where);
    return;
  }
  expect_keys(node, {"type", "pretokenizers"}, where);
  const json& list = required_node(node, "pretokenizers", where);
  if (!list.is_array()) fail("{}: \"pretokenizers\" must be a list", where);
  for (std::size_t i = 0; i < list.size(); ++i) {
    flatten(list[i], fmt::format("{}.pretokenizers[{}]", where, i), depth + 1, nodes);
  }
}

}  // namespace

PreTokenizer PreTokenizer::from_json(const json& node, const std::string& where) {
  PreTokenizer result;
  if (node.is_null()) return result;
  std::vector<std::pair<const json*, std::string>> nodes;
  flatten(node, where, 0, nodes);
  // What the steps so far come to, to see whether one scanner does them all.
  std::optional<ScannerKind> scanner;
  bool one_scanner = true, has_digits = false;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto& [step, step_where] = nodes[i];
    const std::string type = string_field(*step, "type", step_where);
    if (result.byte_level_ && (type == "ByteLevel" || type == "Metaspace")) {
      fail("{}: {} after ByteLevel is not supported", step_where, type);
    }
    if (type == "ByteLevel") {
      expect_keys(*step, {"type", "add_prefix_space", "trim_offsets", "use_regex"}, step_where);
      const bool is_last = i + 1 == nodes.size();
      if (bool_field(*step, "add_prefix_space", true, step_where)) {
        result.steps_.push_back(std::make_unique<PrefixSpaceStep>());
        if (i == 0) {
          result.add_prefix_space_ = true;
        } else {
          one_scanner = false;
        }
      }
      if (bool_field(*step, "use_regex", true, step_where)) {
        result.steps_.push_back(std::make_unique<ScannerStep>(ScannerKind::kGpt2));
        if (scanner) one_scanner = false;
        scanner = has_digits ? ScannerKind::kGpt2Digits : ScannerKind::kGpt2;
      }
      result.byte_level_ = true;
      if (!is_last) {
        result.steps_.push_back(std::make_unique<ByteLevelStep>());
        result.unmap_ = true;
        one_scanner = false;
      }
      continue;
    }
    std::optional<ScannerKind> step_scanner;
    result.steps_.push_back(make_step(type, *step, step_scanner, step_where));
    if (type == "Digits" && i == 0 && bool_field(*step, "individual_digits", false, step_where)) {
      has_digits = true;
    } else if (step_scanner && i == 0) {
      scanner = step_scanner;
    } else {
      one_scanner = false;
    }
  }
  if (one_scanner && result.byte_level_) result.scanner_ = scanner;
  return result;
}

Pieces PreTokenizer::split(std::string_view text, bool at_start) const {
  Pieces result;
  if (text.empty()) return result;
  result.pieces.push_back({text, at_start});
  for (const auto& step : steps_) {
    std::vector<Pieces::Piece> pieces;
    pieces.swap(result.pieces);
    for (const Pieces::Piece& piece : pieces) step->split(piece, result);
  }
  if (unmap_) {
    for (Pieces::Piece& piece : result.pieces) {
      auto bytes = from_byte_level(piece.text);
      if (!bytes) continue;
      result.storage.push_back(std::move(*bytes));
      piece.text = result.storage.back();
    }
  }
  return result;
}

}  // namespace tigerbot
