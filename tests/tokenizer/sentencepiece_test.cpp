#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "base/error.h"
#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {
namespace {

using Json = nlohmann::json;

std::string read_golden(const std::string& name) {
  const std::string path = std::string(TIGERBOT_SOURCE_DIR) + "/tests/golden/sentencepiece/" + name;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

constexpr Tokenizer::EncodeOptions kPlain = {.add_special_tokens = false,
                                             .parse_special_tokens = false};

// What `sentencepiece` gave for each model: tests/golden/tokenizer_sentencepiece.py.
class SentencePiece : public testing::TestWithParam<const char*> {
 protected:
  SentencePiece() : cases_(Json::parse(read_golden("cases.json"))) {
    for (const auto& text : cases_["texts"]) texts_.push_back(from_hex(text));
  }
  const Json& expected() const { return cases_["models"][GetParam()]; }
  std::unique_ptr<Tokenizer> load() const {
    const std::string name = std::string(GetParam()) + ".model";
    return parse_sentencepiece_model(read_golden(name), name);
  }

  Json cases_;
  std::vector<std::string> texts_;
};

TEST_P(SentencePiece, GivesTheSameIds) {
  const auto tokenizer = load();
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    // Twice: the second time from the memory of words.
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(tokenizer->encode(texts_[i], kPlain),
                expected()["ids"][i].get<std::vector<TokenId>>())
          << "text " << i << ": " << texts_[i];
    }
  }
}

TEST_P(SentencePiece, DecodesToTheSameText) {
  const auto tokenizer = load();
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    const auto ids = expected()["ids"][i].get<std::vector<TokenId>>();
    EXPECT_EQ(tokenizer->decode(ids, true), expected()["decoded"][i].get<std::string>()) << i;
  }
}

TEST_P(SentencePiece, DecodesAPieceAtATimeToTheSameText) {
  const auto tokenizer = load();
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    StreamDecoder stream(*tokenizer, true);
    std::string text;
    for (const TokenId id : expected()["ids"][i]) text += stream.push(id);
    text += stream.finish();
    EXPECT_EQ(text, expected()["decoded"][i].get<std::string>()) << i;
  }
}

TEST_P(SentencePiece, KnowsItsPieces) {
  const auto tokenizer = load();
  EXPECT_EQ(tokenizer->size(), expected()["size"]);
  EXPECT_EQ(tokenizer->bos_id.value_or(-1), expected()["bos"]);
  EXPECT_EQ(tokenizer->eos_id.value_or(-1), expected()["eos"]);
  EXPECT_EQ(tokenizer->pad_id.value_or(-1), expected()["pad"]);
  EXPECT_EQ(tokenizer->unk_id.value_or(-1), expected()["unk"]);
  for (TokenId id = 0; id < tokenizer->size(); ++id) {
    EXPECT_EQ(tokenizer->id(tokenizer->piece(id)), id);
  }
  EXPECT_EQ(tokenizer->piece(static_cast<TokenId>(tokenizer->size())), "");
  EXPECT_EQ(tokenizer->id("no such piece"), std::nullopt);
}

TEST_P(SentencePiece, GivesTheSameIdsFromManyThreads) {
  const auto tokenizer = load();
  std::vector<int> wrong(4, 0);
  {
    std::vector<std::jthread> threads;
    for (int& count : wrong) {
      threads.emplace_back([&] {
        for (std::size_t i = 0; i < texts_.size(); ++i) {
          count += tokenizer->encode(texts_[i], kPlain) !=
                   expected()["ids"][i].get<std::vector<TokenId>>();
        }
      });
    }
  }
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

INSTANTIATE_TEST_SUITE_P(Golden, SentencePiece,
                         testing::Values("bpe_bytes", "bpe_rules", "bpe_suffix", "bpe_plain",
                                         "bpe_unused", "unigram_rules", "unigram_bytes",
                                         "unigram_unused", "character", "word"),
                         [](const auto& info) { return std::string(info.param); });

TEST(SentencePieceTokens, SpecialTokensInTheTextAreFoundOnlyWhereAskedFor) {
  const auto tokenizer = parse_sentencepiece_model(read_golden("bpe_bytes.model"), "m");
  const auto hello = tokenizer->encode("hello", kPlain);
  auto options = kPlain;
  options.parse_special_tokens = true;
  std::vector<TokenId> expected = {*tokenizer->bos_id};
  expected.insert(expected.end(), hello.begin(), hello.end());
  expected.push_back(*tokenizer->eos_id);
  EXPECT_EQ(tokenizer->encode("<s>hello</s>", options), expected);
  EXPECT_EQ(tokenizer->decode(expected, true), "hello");
  EXPECT_EQ(tokenizer->decode(expected, false), "<s> hello</s>");
  const auto plain = tokenizer->encode("<s>hello</s>", kPlain);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), *tokenizer->bos_id), 0);
  EXPECT_EQ(tokenizer->decode(plain, true), "<s>hello</s>");
}

TEST(SentencePieceTokens, LlamaBeginsAndT5Ends) {
  const auto llama = parse_sentencepiece_model(read_golden("bpe_bytes.model"), "m");
  EXPECT_EQ(llama->encode("a").front(), *llama->bos_id);
  EXPECT_NE(llama->encode("a").back(), *llama->eos_id);
  const auto t5 = parse_sentencepiece_model(read_golden("bpe_plain.model"), "m");
  EXPECT_EQ(t5->encode("a").back(), *t5->eos_id);
}

TEST(SentencePieceTokens, AnIdOutOfRangeIsAnError) {
  const auto tokenizer = parse_sentencepiece_model(read_golden("bpe_bytes.model"), "m");
  const std::vector<TokenId> above = {static_cast<TokenId>(tokenizer->size())}, below = {-1};
  EXPECT_THROW(tokenizer->decode(above, true), Error);
  EXPECT_THROW(tokenizer->decode(below, true), Error);
}

TEST(SentencePieceTokens, LongRunsWithoutSpacesTakeNoQuadraticTime) {
  // 3 MB: a quadratic algorithm would not come back within any test's patience.
  for (const char* const name : {"bpe_bytes.model", "unigram_bytes.model"}) {
    const auto tokenizer = parse_sentencepiece_model(read_golden(name), name);
    for (const char* const part : {"a", "语", "ab"}) {
      std::string text;
      while (text.size() < 3'000'000) text += part;
      const auto ids = tokenizer->encode(text, kPlain);
      EXPECT_EQ(tokenizer->decode(ids, true), text);
    }
  }
}

void expect_error(std::string_view bytes, const std::string& part) {
  try {
    parse_sentencepiece_model(bytes, "m.model");
    ADD_FAILURE() << "no error: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(std::string_view(error.what()).substr(0, 8), "m.model:");
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(SentencePieceFile, EveryTruncationIsAnErrorOrAWholeModel) {
  const std::string bytes = read_golden("unigram_rules.model");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    try {
      const auto tokenizer =
          parse_sentencepiece_model(std::string_view(bytes).substr(0, size), "m.model");
      tokenizer->encode("a b", kPlain);
    } catch (const Error&) {
    }
  }
}

TEST(SentencePieceFile, DamageIsOneClearLine) {
  expect_error("", "no pieces");
  expect_error("{\"version\": 1}", "not a SentencePiece model");
  expect_error(std::string("\x0a\xff\xff\xff\xff\x0f", 6), "a length goes past the end");
  expect_error(std::string("\x0a\x02\x0a\x00", 4), "piece 0 is empty");
  expect_error(std::string("\x0a\x03\x0a\x01\xff", 5), "not UTF-8");
  expect_error(std::string("\x0a\x05\x0a\x01x\x18\x09", 7), "type 9");
  expect_error(std::string("\x0a\x03\x0a\x01x", 5), "no piece is the unknown piece");
  // A byte piece in a model without byte_fallback.
  expect_error(std::string("\x0a\x0a\x0a\x06<0x41>\x18\x06", 12), "byte_fallback is false");
  // The trie of the rules is longer than the field.
  std::string rules = read_golden("bpe_plain.model");
  rules += std::string("\x1a\x07\x12\x05\xff\xff\xff\x7f\x01", 9);
  expect_error(rules, "precompiled_charsmap");
}

}  // namespace
}  // namespace tigerbot
