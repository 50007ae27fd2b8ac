#include "tokenizer/training/sentencepiece_trainer.h"

#include <sentencepiece_trainer.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"

namespace tigerbot {
namespace {

constexpr std::size_t kMaximumLine = 16 << 10;

// The lines of the texts, as the library asks for them.
class Lines final : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::function<std::optional<std::string>()>& next_text)
      : next_text_(next_text) {
    Next();
  }
  bool done() const override { return done_; }
  void Next() override {
    do {
      while (at_ >= text_.size()) {
        auto text = next_text_();
        if (!text) {
          done_ = true;
          return;
        }
        text_ = is_valid_utf8(*text) ? std::move(*text) : replace_invalid_utf8(*text);
        at_ = 0;
      }
      const std::size_t end = std::min(text_.find('\n', at_), text_.size());
      std::size_t length = end - at_;
      if (length > kMaximumLine) {
        length = kMaximumLine;
        const std::size_t space = text_.rfind(' ', at_ + length);
        if (space != std::string::npos && space > at_ + kMaximumLine / 2) {
          length = space - at_;
        } else {
          while ((static_cast<unsigned char>(text_[at_ + length]) & 0xC0) == 0x80) --length;
        }
      }
      line_.assign(text_, at_, length);
      at_ += length;
      if (at_ < text_.size() && text_[at_] == '\n') ++at_;
      std::erase_if(line_, [](char c) { return c == '\0' || c == '\r'; });
    } while (line_.empty());
  }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::function<std::optional<std::string>()>& next_text_;
  std::string text_, line_;
  std::size_t at_ = 0;
  bool done_ = false;
};

// The library reads lists as comma-separated values, quoted where a value has a comma.
std::string list_of(const std::vector<std::string>& values) {
  std::string list;
  for (const std::string& value : values) {
    if (!list.empty()) list += ',';
    if (value.find_first_of(",\"\n") == std::string::npos) {
      list += value;
      continue;
    }
    list += '"';
    for (const char c : value) list += c == '"' ? std::string("\"\"") : std::string(1, c);
    list += '"';
  }
  return list;
}

}  // namespace

std::string train_sentencepiece(const SentencePieceTrainerOptions& options,
                                const std::function<std::optional<std::string>()>& next_text) {
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  std::unordered_map<std::string, std::string> settings = {
      {"model_type", options.type == SentencePieceTrainerOptions::Type::kBpe ? "bpe" : "unigram"},
      {"vocab_size", std::to_string(options.vocab_size)},
      {"character_coverage", fmt::format("{}", options.character_coverage)},
      {"byte_fallback", flag(options.byte_fallback)},
      {"split_digits", flag(options.split_digits)},
      {"split_by_whitespace", flag(options.split_by_whitespace)},
      {"add_dummy_prefix", flag(options.add_dummy_prefix)},
      {"remove_extra_whitespaces", flag(options.remove_extra_whitespaces)},
      {"normalization_rule_name", options.normalization_rule},
      {"max_sentencepiece_length", std::to_string(options.max_piece_length)},
      {"hard_vocab_limit", flag(options.hard_vocab_limit)},
      {"max_sentence_length", std::to_string(2 * kMaximumLine)},
      {"num_threads", std::to_string(std::clamp(options.threads, 1, 128))},
      {"unk_piece", options.unk_piece},
      {"bos_piece", options.bos_piece},
      {"eos_piece", options.eos_piece},
      {"unk_id", "0"},
      {"bos_id", "1"},
      {"eos_id", "2"},
      {"pad_id", options.pad_piece.empty() ? "-1" : "3"},
      {"train_extremely_large_corpus", "true"},
      {"minloglevel", "2"},
  };
  if (!options.pad_piece.empty()) settings["pad_piece"] = options.pad_piece;
  if (!options.user_defined_pieces.empty()) {
    settings["user_defined_symbols"] = list_of(options.user_defined_pieces);
  }
  if (!options.control_pieces.empty()) {
    settings["control_symbols"] = list_of(options.control_pieces);
  }
  Lines lines(next_text);
  if (lines.done()) fail("there is no text to train on");
  std::string model;
  const sentencepiece::util::Status status =
      sentencepiece::SentencePieceTrainer::Train(settings, &lines, &model);
  if (!status.ok()) {
    // "Internal: src/trainer_interface.cc(590) [(a) == (b)] Vocabulary size is too high ..."
    std::string what = status.ToString();
    if (const std::size_t bracket = what.find("] "); bracket != std::string::npos) {
      what = what.substr(bracket + 2);
    }
    std::replace(what.begin(), what.end(), '\n', ' ');
    fail("SentencePiece refuses: {}", trim(what));
  }
  return model;
}

}  // namespace tigerbot
