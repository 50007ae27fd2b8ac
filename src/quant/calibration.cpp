#include "quant/calibration.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/logging.h"
#include "data/text_sample.h"
#include "train/sft_rows.h"
#include "train/sft_template.h"

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

/// Whether the first row of a file of JSON lines, or of a JSON array, is a conversation.
bool holds_conversations(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  if (name.find(".json") == std::string::npos) return false;
  struct Seen {};  // ends the reading after the first row
  bool conversation = false;
  try {
    train::for_each_row(file, [&](const nlohmann::ordered_json& row, const std::string&) {
      conversation = row.is_object() && !row.contains("text") &&
                     (row.contains("messages") || row.contains("conversations") ||
                      row.contains("instruction"));
      throw Seen();
    });
  } catch (const Seen&) {
    return conversation;
  } catch (const Error&) {
    // Not such rows; whoever reads it as text says what is wrong with it.
  }
  return false;
}

/// Conversations by their hashes, until each language has text enough. Returns how many.
std::int64_t draw_conversations(const std::vector<data::SampleInput>& inputs,
                                const data::SampleOptions& sampling, const Tokenizer& tokenizer,
                                const ChatFormat& chat,
                                std::map<std::string, LanguageTokens>& languages) {
  if (chat.chat_template.empty()) {
    fail(
        "{}: holds conversations, and the model has no chat template to write them with; give "
        "plain text",
        inputs.front().file.string());
  }
  struct Row {
    Hash128 hash;
    nlohmann::ordered_json row;
    std::string place;
  };
  std::map<std::string, std::vector<Row>> rows;
  for (const data::SampleInput& input : inputs) {
    train::for_each_row(
        input.file, [&](const nlohmann::ordered_json& row, const std::string& place) {
          if (!row.is_object()) fail("{}: the row is no JSON object", place);
          std::string language = input.language;
          if (language.empty() && row.contains("language") && row["language"].is_string()) {
            language = row["language"].get<std::string>();
          }
          rows[language].push_back({hash128(row.dump(), sampling.seed), row, place});
        });
  }
  const train::SftTemplate writer(chat.chat_template, chat.bos_token, chat.eos_token);
  std::int64_t drawn = 0;
  for (auto& [name, list] : rows) {
    std::ranges::sort(list, {}, &Row::hash);
    LanguageTokens& language = languages[name];
    for (const Row& row : list) {
      if (language.bytes >= sampling.bytes) break;
      const train::Conversation conversation = train::parse_sft_row(row.row, row.place);
      const std::string text = writer.render(conversation, row.place).text;
      tokenizer.encode(text, {.add_special_tokens = false}, language.tokens);
      language.bytes += text.size();
      ++drawn;
    }
  }
  return drawn;
}

}  // namespace

SequenceFrame frame_of(const Tokenizer& tokenizer) {
  const std::string probe = "a";
  const std::vector<TokenId> bare = tokenizer.encode(probe, {.add_special_tokens = false});
  const std::vector<TokenId> framed = tokenizer.encode(probe, {.add_special_tokens = true});
  const auto text = std::ranges::search(framed, bare);
  return {{framed.begin(), text.begin()}, {text.end(), framed.end()}};
}

CalibrationSet read_calibration(const CalibrationOptions& options, const Tokenizer& tokenizer,
                                const ChatFormat& chat, const SequenceFrame& frame) {
  if (options.samples < 1) fail("--samples must be at least 1");
  if (options.context < 2) fail("--context must be at least 2");
  const bool standing = options.inputs.empty();
  const std::vector<std::string> inputs = standing ? default_inputs() : options.inputs;
  data::SampleOptions sampling;
  sampling.bytes = static_cast<std::uint64_t>(options.samples * options.context) * kBytesPerToken;
  sampling.seed = options.seed;
  const bool framed = !frame.before.empty() || !frame.after.empty();
  CalibrationSet set;
  std::map<std::string, LanguageTokens> languages;
  std::vector<data::SampleInput> texts = data::find_sample_inputs(inputs);
  std::vector<data::SampleInput> conversations;
  std::erase_if(texts, [&](const data::SampleInput& input) {
    if (!holds_conversations(input.file)) return false;
    conversations.push_back(input);
    return true;
  });
  if (!conversations.empty()) {
    set.conversations = draw_conversations(conversations, sampling, tokenizer, chat, languages);
  }
  if (!texts.empty()) {
    data::TextSample sample(std::move(texts), sampling);
    while (const auto document = sample.next()) {
      LanguageTokens& language = languages[document->language];
      tokenizer.encode(document->text, {.add_special_tokens = !framed}, language.tokens);
      language.bytes += document->text.size();
    }
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
  const std::size_t marks = frame.before.size() + frame.after.size();
  if (static_cast<std::size_t>(options.context) <= marks) {
    fail("--context {}: {} of these tokens are the encoder's own marks", options.context, marks);
  }
  const std::size_t length = static_cast<std::size_t>(options.context) - marks;
  for (std::size_t turn = 0, before = 1; set.sequences.size() != before; ++turn) {
    before = set.sequences.size();
    for (const auto& [name, language] : languages) {
      if (static_cast<std::int64_t>(set.sequences.size()) == options.samples) return set;
      if ((turn + 1) * length > language.tokens.size()) continue;
      const auto first = language.tokens.begin() + static_cast<std::ptrdiff_t>(turn * length);
      std::vector<TokenId>& sequence = set.sequences.emplace_back(frame.before);
      sequence.insert(sequence.end(), first, first + static_cast<std::ptrdiff_t>(length));
      sequence.insert(sequence.end(), frame.after.begin(), frame.after.end());
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
