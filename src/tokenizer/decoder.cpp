#include "tokenizer/decoder.h"

#include <functional>
#include <optional>
#include <utility>

#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/incremental_utf8.h"
#include "tokenizer/json_node.h"
#include "tokenizer/pattern.h"
#include "tokenizer/unicode_classes.h"
#include "tokenizer/utf8.h"

namespace tigerbot {

// What one node says: how to make its stage before the next one.
struct Decoder::Step {
  std::function<std::unique_ptr<DecodeStage>(DecodeStage& next)> make;
  bool byte_level = false;
};

namespace {

using nlohmann::json;
using Make = std::function<std::unique_ptr<DecodeStage>(DecodeStage&)>;

// The end of the chain: the text.
class Collect : public DecodeStage {
 public:
  void push(std::string_view part, bool) override { text += part; }
  void finish() override {}
  std::string text;
};

// For steps that rewrite each piece as a whole. A piece that arrives in parts waits until it ends;
// otherwise nothing waits.
class WholePieces : public DecodeStage {
 public:
  WholePieces(DecodeStage& next, bool in_parts) : next_(next), in_parts_(in_parts) {}
  void push(std::string_view part, bool begins) override {
    if (begins) flush();
    waiting_ = true;
    piece_ += part;
    if (!in_parts_) flush();
  }
  void finish() override {
    flush();
    end();
    next_.finish();
  }

 protected:
  virtual void piece(std::string piece, bool is_first) = 0;
  virtual void end() {}
  DecodeStage& next_;

 private:
  void flush() {
    if (!waiting_) return;
    piece(std::exchange(piece_, {}), is_first_);
    is_first_ = false;
    waiting_ = false;
  }
  bool in_parts_;
  std::string piece_;
  bool waiting_ = false, is_first_ = true;
};

// Rewrites pieces that do not depend on what follows.
class MapPieces : public WholePieces {
 public:
  using Map = std::function<std::string(std::string piece, bool is_first)>;
  MapPieces(DecodeStage& next, bool in_parts, Map map)
      : WholePieces(next, in_parts), map_(std::move(map)) {}

 private:
  void piece(std::string piece, bool is_first) override {
    next_.push(map_(std::move(piece), is_first), true);
  }
  Map map_;
};

// All pieces become one.
class Fuse : public DecodeStage {
 public:
  explicit Fuse(DecodeStage& next) : next_(next) {}
  void push(std::string_view part, bool) override {
    next_.push(part, is_first_);
    is_first_ = false;
  }
  void finish() override { next_.finish(); }

 private:
  DecodeStage& next_;
  bool is_first_ = true;
};

// Pieces of the byte-level alphabet become bytes, these UTF-8; all pieces become one.
class ByteLevelStage : public WholePieces {
 public:
  using WholePieces::WholePieces;

 private:
  void piece(std::string piece, bool is_first) override {
    const auto bytes = from_byte_level(piece);
    next_.push(utf8_.push(bytes ? *bytes : piece), is_first);
  }
  void end() override { next_.push(utf8_.finish(), false); }
  IncrementalUtf8 utf8_;
};

// "<0xE4>" pieces become characters; a run of them that is no UTF-8 becomes one U+FFFD a byte.
class ByteFallbackStage : public WholePieces {
 public:
  using WholePieces::WholePieces;

 private:
  static std::optional<char> byte_of(std::string_view piece) {
    if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
    const auto digit = [](char c) {
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'A' && c <= 'F') return c - 'A' + 10;
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      return -1;
    };
    if (piece[3] == '+' && digit(piece[4]) >= 0) return static_cast<char>(digit(piece[4]));
    if (digit(piece[3]) < 0 || digit(piece[4]) < 0) return std::nullopt;
    return static_cast<char>(digit(piece[3]) << 4 | digit(piece[4]));
  }
  void piece(std::string piece, bool) override {
    if (const auto byte = byte_of(piece)) {
      bytes_.push_back(*byte);
      return;
    }
    end();
    next_.push(piece, true);
  }
  void end() override {
    if (bytes_.empty()) return;
    if (is_valid_utf8(bytes_)) {
      next_.push(bytes_, true);
    } else {
      for (std::size_t i = 0; i < bytes_.size(); ++i) next_.push("\uFFFD", true);
    }
    bytes_.clear();
  }
  std::string bytes_;
};

// Takes up to `start` times `content` from the front of each piece, up to `stop` from its end.
class StripStage : public DecodeStage {
 public:
  StripStage(DecodeStage& next, std::string content, std::int64_t start, std::int64_t stop)
      : next_(next), content_(std::move(content)), start_(start), stop_(stop) {}
  void push(std::string_view part, bool begins) override {
    if (begins) {
      flush();
      left_ = start_;
      next_.push({}, true);
    }
    while (left_ > 0 && part.starts_with(content_)) {
      part.remove_prefix(content_.size());
      --left_;
    }
    if (part.empty()) return;
    left_ = 0;
    // Up to `stop` of the content at the end wait, for the piece may end here.
    std::size_t end = part.size();
    std::int64_t trailing = 0;
    while (trailing < stop_ && part.substr(0, end).ends_with(content_)) {
      end -= content_.size();
      ++trailing;
    }
    if (end == 0) {
      held_ += trailing;
      release(std::max<std::int64_t>(held_ - stop_, 0));
      return;
    }
    release(held_);
    next_.push(part.substr(0, end), false);
    held_ = trailing;
  }
  void finish() override {
    flush();
    next_.finish();
  }

 private:
  void release(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) next_.push(content_, false);
    held_ -= count;
  }
  void flush() { held_ = 0; }
  DecodeStage& next_;
  std::string content_;
  std::int64_t start_, stop_;
  std::int64_t left_ = 0, held_ = 0;
};

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  if (from.empty()) return text;
  std::string result;
  std::size_t last = 0;
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, last)) {
    result.append(text, last, at - last).append(to);
    last = at + from.size();
  }
  return result.append(text, last);
}

// A suffix marks the end of a word; after the last piece no space comes.
class BpeSuffixStage : public WholePieces {
 public:
  BpeSuffixStage(DecodeStage& next, bool in_parts, std::string suffix)
      : WholePieces(next, in_parts), suffix_(std::move(suffix)) {}

 private:
  void piece(std::string piece, bool is_first) override {
    if (!is_first) next_.push(replace_all(std::move(last_), suffix_, " "), true);
    last_ = std::move(piece);
    any_ = true;
  }
  void end() override {
    if (any_) next_.push(replace_all(std::move(last_), suffix_, ""), true);
  }
  std::string suffix_, last_;
  bool any_ = false;
};

std::string cleanup_spaces(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) text = replace_all(std::move(text), from, to);
  return text;
}

MapPieces::Map make_word_piece(const json& node, const std::string& where) {
  expect_keys(node, {"type", "prefix", "cleanup"}, where);
  const std::string prefix = string_field(node, "prefix", where);
  const bool cleanup = bool_field(node, "cleanup", true, where);
  return [prefix, cleanup](std::string piece, bool is_first) {
    if (!is_first) {
      if (piece.starts_with(prefix)) {
        piece.erase(0, prefix.size());
      } else {
        piece.insert(0, " ");
      }
    }
    return cleanup ? cleanup_spaces(std::move(piece)) : piece;
  };
}

MapPieces::Map make_metaspace(const json& node, const std::string& where) {
  expect_keys(node,
              {"type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"},
              where);
  const std::string replacement = string_field(node, "replacement", where);
  const auto scheme = optional_string_field(node, "prepend_scheme", where);
  if (scheme && scheme != "always" && scheme != "never" && scheme != "first") {
    fail("{}: unknown prepend_scheme \"{}\"", where, *scheme);
  }
  if (replacement.empty()) fail("{}: \"replacement\" must be one character", where);
  const bool prepended =
      scheme ? scheme != "never" : bool_field(node, "add_prefix_space", true, where);
  return [replacement, prepended](std::string piece, bool is_first) {
    return replace_all(std::move(piece), replacement, is_first && prepended ? "" : " ");
  };
}

MapPieces::Map make_replace(const json& node, const std::string& where) {
  expect_keys(node, {"type", "pattern", "content"}, where);
  const std::string content = string_field(node, "content", where);
  const json& pattern = required_node(node, "pattern", where);
  expect_keys(pattern, {"String", "Regex"}, where + ".pattern");
  if (pattern.contains("String")) {
    const std::string literal = string_field(pattern, "String", where + ".pattern");
    return [literal, content](std::string piece, bool) {
      return replace_all(std::move(piece), literal, content);
    };
  }
  auto compiled =
      std::make_shared<Pattern>(string_field(pattern, "Regex", where + ".pattern"), where);
  return [compiled, content](std::string piece, bool) {
    std::string result;
    std::size_t last = 0;
    for (const auto& [begin, end] : compiled->find_all(piece)) {
      result.append(piece, last, begin - last).append(content);
      last = end;
    }
    return result.append(piece, last);
  };
}

// Adds the steps of a node; `in_parts`: pieces arrive in parts, for a step before joined them.
void add_steps(const json& node, const std::string& where, int depth, bool& in_parts,
               std::vector<std::unique_ptr<const Decoder::Step>>& steps) {
  if (depth > 16) fail("{}: sequences are nested too deep", where);
  const auto add = [&](Make make, bool byte_level = false) {
    auto step = std::make_unique<Decoder::Step>();
    step->make = std::move(make);
    step->byte_level = byte_level;
    steps.push_back(std::move(step));
  };
  const auto add_map = [&](MapPieces::Map map) {
    add([map, parts = in_parts](DecodeStage& next) {
      return std::make_unique<MapPieces>(next, parts, map);
    });
  };
  const std::string type = string_field(node, "type", where);
  if (type == "Sequence") {
    expect_keys(node, {"type", "decoders"}, where);
    const json& list = required_node(node, "decoders", where);
    if (!list.is_array()) fail("{}: \"decoders\" must be a list", where);
    for (std::size_t i = 0; i < list.size(); ++i) {
      add_steps(list[i], fmt::format("{}.decoders[{}]", where, i), depth + 1, in_parts, steps);
    }
  } else if (type == "ByteLevel") {
    expect_keys(node, {"type", "add_prefix_space", "trim_offsets", "use_regex"}, where);
    add([parts =
             in_parts](DecodeStage& next) { return std::make_unique<ByteLevelStage>(next, parts); },
        true);
    in_parts = true;
  } else if (type == "ByteFallback") {
    expect_keys(node, {"type"}, where);
    add([parts = in_parts](DecodeStage& next) {
      return std::make_unique<ByteFallbackStage>(next, parts);
    });
  } else if (type == "Fuse") {
    expect_keys(node, {"type"}, where);
    add([](DecodeStage& next) { return std::make_unique<Fuse>(next); });
    in_parts = true;
  } else if (type == "Strip") {
    expect_keys(node, {"type", "content", "start", "stop"}, where);
    const std::string content = string_field(node, "content", where);
    if (content.empty()) fail("{}: \"content\" must be one character", where);
    const std::int64_t start = integer_field(node, "start", 1 << 30, where);
    const std::int64_t stop = integer_field(node, "stop", 1 << 30, where);
    add([=](DecodeStage& next) {
      return std::make_unique<StripStage>(next, content, start, stop);
    });
    in_parts = true;
  } else if (type == "BPEDecoder") {
    expect_keys(node, {"type", "suffix"}, where);
    const std::string suffix = string_field(node, "suffix", where);
    add([suffix, parts = in_parts](DecodeStage& next) {
      return std::make_unique<BpeSuffixStage>(next, parts, suffix);
    });
  } else if (type == "WordPiece") {
    add_map(make_word_piece(node, where));
  } else if (type == "Metaspace") {
    add_map(make_metaspace(node, where));
  } else if (type == "Replace") {
    add_map(make_replace(node, where));
  } else {
    fail("{}: unknown decoder \"{}\"", where, type);
  }
}

}  // namespace

struct Decoder::Run::State {
  Collect collect;
  std::vector<std::unique_ptr<DecodeStage>> stages;  // from the last to the first
  DecodeStage& first() { return stages.empty() ? collect : *stages.back(); }
};

Decoder::Run::Run(std::unique_ptr<State> state) : state_(std::move(state)) {}
Decoder::Run::Run(Run&&) noexcept = default;
Decoder::Run::~Run() = default;

std::string Decoder::Run::push(std::string_view piece) {
  state_->first().push(piece, true);
  return std::exchange(state_->collect.text, {});
}

std::string Decoder::Run::finish() {
  state_->first().finish();
  return std::exchange(state_->collect.text, {});
}

Decoder::Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;
Decoder::~Decoder() = default;

bool Decoder::is_byte_level() const { return steps_.size() == 1 && steps_[0]->byte_level; }

Decoder Decoder::from_json(const json& node, const std::string& where) {
  Decoder decoder;
  bool in_parts = false;
  if (node.is_null()) {
    auto step = std::make_unique<Step>();
    step->make = [](DecodeStage& next) {
      return std::make_unique<MapPieces>(next, false, [](std::string piece, bool is_first) {
        return is_first ? piece : " " + piece;
      });
    };
    decoder.steps_.push_back(std::move(step));
  } else {
    add_steps(node, where, 0, in_parts, decoder.steps_);
  }
  return decoder;
}

Decoder::Run Decoder::start() const {
  auto state = std::make_unique<Run::State>();
  DecodeStage* next = &state->collect;
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    state->stages.push_back((*step)->make(*next));
    next = state->stages.back().get();
  }
  return Run(std::move(state));
}

}  // namespace tigerbot
