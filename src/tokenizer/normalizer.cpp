#include "tokenizer/normalizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/json_node.h"
#include "tokenizer/normalizer_parts.h"
#include "tokenizer/pattern.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

using Json = nlohmann::json;

// Deeper nesting of sequences than any real file has.
constexpr int kMaxDepth = 16;

class Sequence final : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}
  std::string normalize(std::string_view text) const override {
    std::string result(text);
    for (const auto& step : steps_) {
      if (!step->keeps(result)) result = step->normalize(result);
    }
    return result;
  }
  bool keeps(std::string_view text) const override {
    return std::all_of(steps_.begin(), steps_.end(),
                       [&](const auto& step) { return step->keeps(text); });
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string normalize(std::string_view text) const override {
    return text.empty() ? std::string() : prefix_ + std::string(text);
  }

 private:
  std::string prefix_;
};

class ReplaceString final : public Normalizer {
 public:
  ReplaceString(std::string pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string normalize(std::string_view text) const override {
    std::string result;
    if (text.empty()) return result;
    result.reserve(text.size() + text.size() / 2);
    if (pattern_.empty()) {  // matches between all characters
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = utf8_length(static_cast<unsigned char>(text[at]));
        result += content_;
        result += text.substr(at, length);
        at += length;
      }
      return result + content_;
    }
    while (true) {
      const std::size_t found = text.find(pattern_);
      result += text.substr(0, found);
      if (found == std::string_view::npos) return result;
      result += content_;
      text.remove_prefix(found + pattern_.size());
    }
  }
  bool keeps(std::string_view text) const override {
    return text.empty() || (!pattern_.empty() && text.find(pattern_) == std::string_view::npos);
  }

 private:
  std::string pattern_, content_;
};

class ReplaceRegex final : public Normalizer {
 public:
  ReplaceRegex(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string normalize(std::string_view text) const override {
    std::string result;
    if (text.empty()) return result;
    std::size_t at = 0;
    for (const auto& [begin, end] : pattern_.find_all(text)) {
      result += text.substr(at, begin - at);
      result += content_;
      at = end;
    }
    result += text.substr(at);
    return result;
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class ByteLevel final : public Normalizer {
 public:
  std::string normalize(std::string_view text) const override { return to_byte_level(text); }
};

std::unique_ptr<Normalizer> make_replace(const Json& node, const std::string& where) {
  expect_keys(node, {"type", "pattern", "content"}, where);
  const Json& pattern = required_node(node, "pattern", where);
  expect_keys(pattern, {"String", "Regex"}, where + ".pattern");
  std::string content = string_field(node, "content", where);
  if (pattern.size() != 1) fail("{}.pattern: must be one of \"String\" and \"Regex\"", where);
  if (pattern.contains("String")) {
    return std::make_unique<ReplaceString>(string_field(pattern, "String", where + ".pattern"),
                                           std::move(content));
  }
  return std::make_unique<ReplaceRegex>(
      Pattern(string_field(pattern, "Regex", where + ".pattern"), where + ".pattern"),
      std::move(content));
}

std::string decode_base64(std::string_view text, const std::string& where) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    std::uint32_t value;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<std::uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<std::uint32_t>(c - 'a' + 26);
    } else if (c >= '0' && c <= '9') {
      value = static_cast<std::uint32_t>(c - '0' + 52);
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else {
      fail("{}: precompiled_charsmap is not base64", where);
    }
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return bytes;
}

std::unique_ptr<Normalizer> make_node(const Json& node, const std::string& where, int depth);

std::unique_ptr<Normalizer> make_sequence(const Json& node, const std::string& where, int depth) {
  expect_keys(node, {"type", "normalizers"}, where);
  const Json& nodes = required_node(node, "normalizers", where);
  if (!nodes.is_array()) fail("{}: \"normalizers\" must be an array", where);
  if (depth >= kMaxDepth) fail("{}: sequences are nested more than {} deep", where, kMaxDepth);
  std::vector<std::unique_ptr<Normalizer>> steps;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    steps.push_back(make_node(nodes[i], fmt::format("{}.normalizers[{}]", where, i), depth + 1));
  }
  return std::make_unique<Sequence>(std::move(steps));
}

std::unique_ptr<Normalizer> make_bert(const Json& node, const std::string& where) {
  expect_keys(node, {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"},
              where);
  BertNormalizerOptions options;
  options.clean_text = bool_field(node, "clean_text", true, where);
  options.handle_chinese_chars = bool_field(node, "handle_chinese_chars", true, where);
  options.lowercase = bool_field(node, "lowercase", true, where);
  options.strip_accents = bool_field(node, "strip_accents", options.lowercase, where);
  return make_bert_normalizer(options);
}

std::unique_ptr<Normalizer> make_node(const Json& node, const std::string& where, int depth) {
  const std::string type = string_field(node, "type", where);
  if (type == "Sequence") return make_sequence(node, where, depth);
  if (type == "Replace") return make_replace(node, where);
  if (type == "BertNormalizer") return make_bert(node, where);
  if (type == "Prepend") {
    expect_keys(node, {"type", "prepend"}, where);
    return std::make_unique<Prepend>(string_field(node, "prepend", where));
  }
  if (type == "Strip") {
    expect_keys(node, {"type", "strip_left", "strip_right"}, where);
    return make_strip_normalizer(bool_field(node, "strip_left", where),
                                 bool_field(node, "strip_right", where));
  }
  if (type == "Precompiled") {
    expect_keys(node, {"type", "precompiled_charsmap"}, where);
    const auto charsmap = optional_string_field(node, "precompiled_charsmap", where);
    return make_precompiled_normalizer(decode_base64(charsmap.value_or(""), where), where);
  }
  // The kinds without settings.
  const auto plain = [&](std::unique_ptr<Normalizer> normalizer) {
    expect_keys(node, {"type"}, where);
    return normalizer;
  };
  if (type == "NFC") return plain(make_unicode_normalizer(UnicodeForm::kNfc));
  if (type == "NFD") return plain(make_unicode_normalizer(UnicodeForm::kNfd));
  if (type == "NFKC") return plain(make_unicode_normalizer(UnicodeForm::kNfkc));
  if (type == "NFKD") return plain(make_unicode_normalizer(UnicodeForm::kNfkd));
  if (type == "Lowercase") return plain(make_lowercase_normalizer());
  if (type == "StripAccents") return plain(make_strip_accents_normalizer());
  if (type == "Nmt") return plain(make_nmt_normalizer());
  if (type == "ByteLevel") return plain(std::make_unique<ByteLevel>());
  fail("{}: unknown normalizer \"{}\"", where, type);
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const Json& node, const std::string& where) {
  if (node.is_null()) return nullptr;
  return make_node(node, where, 0);
}

}  // namespace tigerbot
