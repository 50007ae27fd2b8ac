#include "quant/calibration.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/logging.h"
#include "data/text_sample.h"

namespace tigerbot::quant {
namespace {

/// Text drawn for each token that is wanted: twice what an English token holds.
constexpr std::uint64_t kBytesPerToken = 8;

/// A tokenizer that knows a language takes 0.2 to 0.4 tokens a byte; one that does not spells it
/// byte by byte.
constexpr double kForeignTokensPerByte = 0.5;

struct LanguageTokens {
  std::vector<TokenId> tokens;
  std::uint64_t bytes = 0;

  bool foreign() const {
    return static_cast<double>(tokens.size()) > kForeignTokensPerByte * static_cast<double>(bytes);
  }
};

std::vector<std::string> default_inputs() {
  const auto folder = cache_folder() / "corpus";
  if (std::filesystem::is_directory(folder)) return {folder.string()};
  fail(
      "{}: no text is here to calibrate with; give --calibration FILE, or run "
      "recipes/fetch_text.py",
      folder.string());
}

}  // namespace

CalibrationSet read_calibration(const CalibrationOptions& options, const Tokenizer& tokenizer) {
  if (options.samples < 1) fail("--samples must be at least 1");
  if (options.context < 2) fail("--context must be at least 2");
  const bool standing = options.inputs.empty();
  const std::vector<std::string> inputs = standing ? default_inputs() : options.inputs;
  data::SampleOptions sampling;
  sampling.bytes = static_cast<std::uint64_t>(options.samples * options.context) * kBytesPerToken;
  sampling.seed = options.seed;
  data::TextSample sample(data::find_sample_inputs(inputs), sampling);
  std::map<std::string, LanguageTokens> languages;
  while (const auto document = sample.next()) {
    LanguageTokens& language = languages[document->language];
    tokenizer.encode(document->text, {}, language.tokens);
    language.bytes += document->text.size();
  }
  const auto named = [](const std::string& language) {
    return language.empty() ? std::string() : fmt::format(" ({})", language);
  };
  std::size_t total = 0;
  for (const auto& [name, language] : languages) total += language.tokens.size();
  if (total == 0) fail("{}: the calibration set has no text", fmt::join(inputs, ", "));
  if (standing) {
    std::erase_if(languages, [](const auto& entry) { return entry.second.foreign(); });
    if (languages.empty()) {
      fail("{}: no text is in a language of the model; give --calibration FILE", inputs.front());
    }
  }
  for (const auto& [name, language] : languages) {
    if (!language.foreign()) continue;
    log_warning(
        "the tokenizer spells the calibration text{} almost byte by byte; is it in a "
        "language of the model?",
        named(name));
  }
  const auto length = static_cast<std::size_t>(options.context);
  CalibrationSet set;
  for (std::size_t turn = 0, before = 1; set.sequences.size() != before; ++turn) {
    before = set.sequences.size();
    for (const auto& [name, language] : languages) {
      if (static_cast<std::int64_t>(set.sequences.size()) == options.samples) return set;
      if ((turn + 1) * length > language.tokens.size()) continue;
      const auto first = language.tokens.begin() + static_cast<std::ptrdiff_t>(turn * length);
      set.sequences.emplace_back(first, first + static_cast<std::ptrdiff_t>(length));
      ++set.languages[name];
    }
    if (turn == 0 && set.sequences.empty()) {
      fail(
          "{}: the calibration set has {} tokens; one sample needs {}; give more text or a smaller "
          "--context",
          fmt::join(inputs, ", "), total, options.context);
    }
  }
  if (static_cast<std::int64_t>(set.sequences.size()) < options.samples) {
    log_warning("the calibration text gives {} of the {} samples", set.sequences.size(),
                options.samples);
  }
  return set;
}

}  // namespace tigerbot::quant
