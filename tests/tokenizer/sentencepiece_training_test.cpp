#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "tokenizer/extension/sentencepiece_extension.h"
#include "tokenizer/extension/unchanged_text.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/training/sentencepiece_trainer.h"

namespace tigerbot {
namespace {

const std::string kText = read_file(TIGERBOT_SOURCE_DIR "/tests/golden/bpe_trainer/text.txt");

std::string lines(bool ascii) {
  std::string result;
  for (std::size_t begin = 0; begin < kText.size();) {
    const std::size_t end = std::min(kText.find('\n', begin), kText.size() - 1) + 1;
    const std::string line = kText.substr(begin, end - begin);
    bool is_ascii = true;
    for (const char c : line) is_ascii &= static_cast<signed char>(c) > 0;
    if (is_ascii == ascii) result += line;
    begin = end;
  }
  return result;
}

std::string train(const std::string& text, SentencePieceTrainerOptions options) {
  bool given = false;
  return train_sentencepiece(options, [&]() -> std::optional<std::string> {
    if (given) return std::nullopt;
    given = true;
    return text;
  });
}

SentencePieceTrainerOptions bpe(std::size_t vocab_size) {
  SentencePieceTrainerOptions options;
  options.vocab_size = vocab_size;
  return options;
}

SentencePieceTrainerOptions unigram(std::size_t vocab_size) {
  SentencePieceTrainerOptions options = bpe(vocab_size);
  options.type = SentencePieceTrainerOptions::Type::kUnigram;
  options.hard_vocab_limit = false;
  return options;
}

std::vector<TokenId> encode(const Tokenizer& tokenizer, const std::string& text) {
  return tokenizer.encode(text, {.add_special_tokens = false, .parse_special_tokens = false});
}

TEST(SentencePieceTrainer, MakesBpeWithWhatWasAsked) {
  SentencePieceTrainerOptions options = bpe(600);
  options.user_defined_pieces = {"<tool>", "a,b"};
  options.control_pieces = {"<|im_start|>"};
  options.pad_piece = "<pad>";
  const auto model = read_sentencepiece_model(train(kText, options), "new");
  EXPECT_EQ(model.type, SentencePieceModel::Type::kBpe);
  EXPECT_EQ(model.pieces.size(), 600u);
  EXPECT_TRUE(model.byte_fallback);
  EXPECT_TRUE(model.normalizer.precompiled_charsmap.empty());
  std::map<std::string, SentencePieceModel::PieceType> types;
  for (const auto& piece : model.pieces) types[piece.text] = piece.type;
  EXPECT_EQ(types.at("<tool>"), SentencePieceModel::PieceType::kUserDefined);
  EXPECT_EQ(types.at("a,b"), SentencePieceModel::PieceType::kUserDefined);
  EXPECT_EQ(types.at("<|im_start|>"), SentencePieceModel::PieceType::kControl);
  EXPECT_EQ(model.pieces[3].text, "<pad>");
  const auto tokenizer = parse_sentencepiece_model(train(kText, options), "new");
  EXPECT_EQ(tokenizer->decode(encode(*tokenizer, "x  人人生而自由 \xF0\x9F\x91\xBE 1,024"), true),
            "x  人人生而自由 \xF0\x9F\x91\xBE 1,024");
  // Digits are apart.
  for (const auto& piece : model.pieces) {
    if (piece.type != SentencePieceModel::PieceType::kNormal) continue;
    EXPECT_FALSE(piece.text.size() > 1 &&
                 piece.text.find_first_of("0123456789") != std::string::npos &&
                 piece.text.find("\xE2\x96\x81") == std::string::npos)
        << piece.text;
  }
}

TEST(SentencePieceTrainer, MakesUnigram) {
  SentencePieceTrainerOptions options = bpe(500);
  options.type = SentencePieceTrainerOptions::Type::kUnigram;
  options.byte_fallback = false;
  options.normalization_rule = "nfkc";
  const auto model = read_sentencepiece_model(train(kText, options), "new");
  EXPECT_EQ(model.type, SentencePieceModel::Type::kUnigram);
  EXPECT_FALSE(model.byte_fallback);
  EXPECT_FALSE(model.normalizer.precompiled_charsmap.empty());
}

TEST(SentencePieceTrainer, SaysWhyTheLibraryRefuses) {
  try {
    train("a b c\n", bpe(50000));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("SentencePiece refuses"), std::string::npos);
  }
  EXPECT_THROW(train("", bpe(500)), Error);
}

void keeps_the_base_and_covers_the_new(SentencePieceTrainerOptions old_options,
                                       SentencePieceTrainerOptions new_options) {
  const std::string base_bytes = train(lines(true), old_options);
  const auto added = read_sentencepiece_model(train(lines(false), new_options), "new");
  const BaseTextGuard guard({"Latin"});
  const auto extension = extend_sentencepiece(base_bytes, added, 65535, &guard, "base");
  ASSERT_GT(extension.pieces, 100u);
  const auto base = read_sentencepiece_model(base_bytes, "base");
  const auto both = read_sentencepiece_model(extension.model, "extended");
  ASSERT_EQ(both.pieces.size(), base.pieces.size() + extension.pieces);
  std::set<std::string> once;
  float lowest = 0;
  for (std::size_t id = 0; id < both.pieces.size(); ++id) {
    EXPECT_TRUE(once.insert(both.pieces[id].text).second) << both.pieces[id].text;
    if (id < base.pieces.size()) {
      EXPECT_EQ(both.pieces[id].text, base.pieces[id].text);
      EXPECT_EQ(both.pieces[id].score, base.pieces[id].score);
      EXPECT_EQ(both.pieces[id].type, base.pieces[id].type);
    } else {
      EXPECT_LT(both.pieces[id].score, lowest);
    }
    // BPE merges by score, so each new piece has its own; unigram's are probabilities.
    const bool own_score = id < base.pieces.size() || base.type == SentencePieceModel::Type::kBpe;
    if (own_score && both.pieces[id].type == SentencePieceModel::PieceType::kNormal) {
      lowest = std::min(lowest, both.pieces[id].score);
    }
  }
  const auto before = parse_sentencepiece_model(base_bytes, "base");
  const auto after = parse_sentencepiece_model(extension.model, "extended");
  EXPECT_NO_THROW(check_ids_kept(*before, *after));
  std::vector<std::string> base_lines;
  const std::string ascii = lines(true);
  for (std::size_t begin = 0; begin < ascii.size();) {
    const std::size_t end = std::min(ascii.find('\n', begin), ascii.size());
    base_lines.push_back(ascii.substr(begin, end - begin));
    begin = end + 1;
  }
  EXPECT_EQ(count_changes(*before, *after, base_lines, 1).changed_texts, 0u);
  const std::string korean = "모든 인간은 태어날 때부터";
  EXPECT_LT(3 * encode(*after, korean).size(), encode(*before, korean).size());
  EXPECT_EQ(after->decode(encode(*after, korean), true), korean);
}

TEST(SentencePieceExtension, KeepsTheBaseAndItsTextAndCoversTheNew) {
  keeps_the_base_and_covers_the_new(bpe(420), bpe(700));
}

TEST(SentencePieceExtension, DoesTheSameForUnigram) {
  keeps_the_base_and_covers_the_new(unigram(420), unigram(700));
}

TEST(SentencePieceExtension, RefusesWhatCannotBe) {
  const std::string base_bytes = train(lines(true), bpe(420));
  const auto added = read_sentencepiece_model(train(lines(false), bpe(700)), "new");
  EXPECT_THROW(extend_sentencepiece(base_bytes, added, 420, nullptr, "base"), Error);
  const auto limited = extend_sentencepiece(base_bytes, added, 450, nullptr, "base");
  EXPECT_EQ(read_sentencepiece_model(limited.model, "limited").pieces.size(), 450u);
  EXPECT_GT(limited.no_room, 0u);
  SentencePieceModel other = added;
  other.type = SentencePieceModel::Type::kUnigram;
  EXPECT_THROW(extend_sentencepiece(base_bytes, other, 65535, nullptr, "base"), Error);
  // The same piece once more at the end.
  const std::string twice = base_bytes + std::string("\x0A\x07\x0A\x05<unk>", 9);
  EXPECT_THROW(extend_sentencepiece(twice, added, 65535, nullptr, "base"), Error);
}

}  // namespace
}  // namespace tigerbot
