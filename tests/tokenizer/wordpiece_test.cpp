#include "tokenizer/wordpiece.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

using Json = nlohmann::json;

Json read_golden(const std::string& name) {
  const std::string path = std::string(TIGERBOT_SOURCE_DIR) + "/tests/golden/wordpiece/" + name;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return Json::parse(file);
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// What Hugging Face tokenizers gave: tests/golden/tokenizer_wordpiece.py.
class TokenizerJson : public testing::TestWithParam<const char*> {
 protected:
  TokenizerJson() : cases_(read_golden("tokenizers.json")) {
    for (const auto& text : cases_["texts"]) texts_.push_back(from_hex(text));
  }
  const Json& expected() const { return cases_["tokenizers"][GetParam()]; }
  std::unique_ptr<Tokenizer> load() const {
    return parse_tokenizer_json(expected()["json"].dump(), GetParam());
  }
  Json cases_;
  std::vector<std::string> texts_;
};

TEST_P(TokenizerJson, GivesTheSameIds) {
  const auto tokenizer = load();
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(tokenizer->encode(texts_[i]), expected()["ids"][i].get<std::vector<TokenId>>())
          << "text " << i << ": " << texts_[i];
    }
  }
}

TEST_P(TokenizerJson, DecodesToTheSameTextAtOnceAndInParts) {
  const auto tokenizer = load();
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    const auto ids = expected()["ids"][i].get<std::vector<TokenId>>();
    const auto text = expected()["decoded"][i].get<std::string>();
    EXPECT_EQ(tokenizer->decode(ids, true), text) << i;
    StreamDecoder stream(*tokenizer, true);
    std::string parts;
    for (const TokenId id : ids) parts += stream.push(id);
    EXPECT_EQ(parts + stream.finish(), text) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, TokenizerJson,
                         testing::Values("bert", "unigram", "unigram_bytes", "llama", "bpe_unknown",
                                         "bpe_suffix"),
                         [](const auto& info) { return std::string(info.param); });

TEST(WordPieceVocabulary, IsTheSameTokenizerAsItsTokenizerJson) {
  const Json cases = read_golden("tokenizers.json");
  const Json& bert = cases["tokenizers"]["bert"];
  std::vector<std::string> pieces(bert["json"]["model"]["vocab"].size());
  for (const auto& [piece, id] : bert["json"]["model"]["vocab"].items()) pieces[id] = piece;
  for (const char* const line_end : {"\n", "\r\n"}) {
    std::string vocabulary;
    for (const std::string& piece : pieces) vocabulary += piece + line_end;
    const auto tokenizer = parse_wordpiece_vocab(vocabulary, true, "vocab.txt");
    EXPECT_EQ(tokenizer->kind, "WordPiece");
    EXPECT_EQ(tokenizer->piece(*tokenizer->bos_id), "[CLS]");
    for (std::size_t i = 0; i < cases["texts"].size(); ++i) {
      EXPECT_EQ(tokenizer->encode(from_hex(cases["texts"][i])),
                bert["ids"][i].get<std::vector<TokenId>>());
    }
  }
  EXPECT_THROW(parse_wordpiece_vocab("a\nb\n", true, "vocab.txt"), Error);
  EXPECT_THROW(parse_wordpiece_vocab("\xff\n", true, "vocab.txt"), Error);
}

std::string hash_of(const std::string& data) {
  std::uint64_t value = 0xCBF29CE484222325;  // FNV-1a
  for (const char byte : data) value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001B3;
  return fmt::format("{:016x}", value);
}

TEST(Normalizers, WriteWhatTheReferenceWrites) {
  const Json golden = read_golden("normalizers.json");
  for (const Json& row : golden["normalizers"]) {
    const auto normalizer = make_normalizer(row["node"], "n");
    std::string normalized;
    bool first = true;
    for (const auto& text : golden["texts"]) {
      if (!first) normalized += '\x1f';
      first = false;
      const auto bytes = text.get<std::string>();
      const std::string result = normalizer->normalize(bytes);
      EXPECT_TRUE(!normalizer->keeps(bytes) || result == bytes) << row["node"];
      EXPECT_TRUE(is_valid_utf8(result)) << row["node"];
      normalized += result;
    }
    EXPECT_EQ(hash_of(normalized), row["normalized"]) << row["node"];
    if (!row.contains("characters")) continue;
    std::string characters;
    const auto add = [&](char32_t begin, char32_t end) {
      for (char32_t c = begin; c < end; ++c) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        std::string text;
        append_utf8(text, c);
        characters += normalizer->normalize(text);
      }
    };
    add(1, 0x20000);
    add(0x2F800, 0x2FA20);
    add(0xE0000, 0xE0200);
    EXPECT_EQ(hash_of(characters), row["characters"]) << row["node"];
  }
}

TEST(Normalizers, WhatIsNotKnownIsAnErrorThatSaysWhere) {
  const auto message = [](const char* json) -> std::string {
    try {
      make_normalizer(Json::parse(json), "t.json: normalizer");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(make_normalizer(nullptr, "n"), nullptr);
  EXPECT_EQ(message(R"({"type":"Magic"})"), "t.json: normalizer: unknown normalizer \"Magic\"");
  EXPECT_NE(message(R"({"type":"NFC","form":1})").find("unknown key \"form\""), std::string::npos);
  EXPECT_NE(message(R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"X"}]})")
                .find("normalizers[1]: unknown normalizer"),
            std::string::npos);
  EXPECT_NE(message(R"({"type":"Replace","pattern":{"Regex":"("},"content":""})"), "no error");
  EXPECT_NE(message(R"({"type":"Precompiled","precompiled_charsmap":"!!"})").find("base64"),
            std::string::npos);
  EXPECT_NE(message("[]"), "no error");
  EXPECT_NE(message("{}"), "no error");
  std::string nested = R"({"type":"NFC"})";
  for (int i = 0; i < 100; ++i) nested = R"({"type":"Sequence","normalizers":[)" + nested + "]}";
  EXPECT_NE(message(nested.c_str()).find("nested"), std::string::npos);
}

}  // namespace
}  // namespace tigerbot
