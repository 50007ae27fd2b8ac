#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

/// Models side by side on the same held-out text and the same questions.
namespace tigerbot {

struct ComparedModel {
  std::string name;
  std::filesystem::path path;
};

struct ComparisonOptions {
  std::vector<std::string> texts;  ///< JSON lines of `text` and `language`: files, folders, globs
  std::uint64_t bytes_per_language = 64 << 10;
  std::int64_t context = 1024;  ///< tokens of a window
  std::vector<std::string> prompts;
  std::int64_t max_new_tokens = 96;
  /// (a, b): the report says how much worse a is than b.
  std::vector<std::pair<std::string, std::string>> pairs;
};

/// `languages`: for each the bytes that were read. `models`: for each, in order, `name`, and by
/// language `tokens`, `characters_per_token`, the same with ASCII left out,
/// `perplexity` (a token), `perplexity_per_byte`, `bits_per_byte`, `next_token_accuracy`; and
/// `answers`, unedited, the likeliest token always. `pairs`: perplexity a byte of one over that of
/// the other. The text of a language is that of the documents with the lowest hashes, cut where it
/// is long enough. One model is held at a time.
Json compare_models(const std::vector<ComparedModel>& models, const ComparisonOptions& options);

/// The same as a page with its charts; nothing outside it is needed.
std::string comparison_page(const Json& comparison);

}  // namespace tigerbot
