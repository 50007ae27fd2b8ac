#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {
namespace {

std::string read_golden(const std::string& name) {
  const std::string path = std::string(TIGERBOT_SOURCE_DIR) + "/tests/golden/" + name;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

GgufTokenizer gguf_of(const std::string& model_name, const char* kind) {
  const auto model = read_sentencepiece_model(read_golden("sentencepiece/" + model_name), "m");
  GgufTokenizer gguf;
  gguf.model = kind;
  gguf.pre = "default";
  for (const auto& piece : model.pieces) {
    gguf.tokens.push_back(piece.text);
    gguf.scores.push_back(piece.score);
    gguf.token_types.push_back(static_cast<int>(piece.type));
  }
  gguf.add_space_prefix = model.normalizer.add_dummy_prefix;
  gguf.remove_extra_whitespaces = model.normalizer.remove_extra_whitespaces;
  gguf.precompiled_charsmap = model.normalizer.precompiled_charsmap;
  gguf.unk_id = 0;
  gguf.bos_id = 1;
  gguf.eos_id = 2;
  return gguf;
}

GgufTokenizer byte_level_gguf() {
  GgufTokenizer gguf;
  gguf.model = "gpt2";
  gguf.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte) {
    gguf.tokens.push_back(to_byte_level(std::string(1, static_cast<char>(byte))));
  }
  gguf.tokens.push_back("th");
  gguf.tokens.push_back("the");
  gguf.tokens.push_back("Ġthe");
  gguf.tokens.push_back("<|end|>");
  gguf.tokens.push_back("<tool>");
  gguf.token_types.assign(gguf.tokens.size(), 1);
  gguf.token_types[259] = 3;
  gguf.token_types[260] = 4;
  gguf.merges = {"t h", "th e", "Ġ the"};
  gguf.bos_id = gguf.eos_id = 259;
  return gguf;
}

constexpr Tokenizer::EncodeOptions kPlain = {.add_special_tokens = false,
                                             .parse_special_tokens = false};

TEST(GgufTokenizer, SentencePieceGivesTheIdsOfTheModelFile) {
  const std::string text = "Hello, the 语言 モデル 1,024\n  two spaces é";
  for (const auto& [name, kind] :
       {std::pair("bpe_bytes.model", "llama"), std::pair("unigram_rules.model", "t5")}) {
    const auto file =
        parse_sentencepiece_model(read_golden(std::string("sentencepiece/") + name), name);
    const auto gguf = make_gguf_tokenizer(gguf_of(name, kind), "m.gguf");
    EXPECT_EQ(gguf->encode(text, kPlain), file->encode(text, kPlain));
    EXPECT_EQ(gguf->decode(gguf->encode(text, kPlain), true),
              file->decode(file->encode(text, kPlain), true));
    EXPECT_EQ(gguf->kind, file->kind);
  }
}

TEST(GgufTokenizer, AddsWhatTheFileSays) {
  GgufTokenizer gguf = gguf_of("bpe_bytes.model", "llama");
  EXPECT_EQ(make_gguf_tokenizer(gguf, "m")->encode("a").front(), 1);
  gguf.add_bos = false;
  gguf.add_eos = true;
  const auto ids = make_gguf_tokenizer(gguf, "m")->encode("a");
  EXPECT_NE(ids.front(), 1);
  EXPECT_EQ(ids.back(), 2);
  // T5 ends its texts and does not begin them.
  const auto t5 = make_gguf_tokenizer(gguf_of("unigram_rules.model", "t5"), "m")->encode("a");
  EXPECT_NE(t5.front(), 1);
  EXPECT_EQ(t5.back(), 2);
  gguf.add_space_prefix = false;
  const auto tokenizer = make_gguf_tokenizer(gguf, "m");
  EXPECT_EQ(tokenizer->piece(tokenizer->encode("a", kPlain)[0]), "a");
}

TEST(GgufTokenizer, UserDefinedTokensAreFoundEvenInPlainText) {
  GgufTokenizer gguf = gguf_of("bpe_bytes.model", "llama");
  gguf.tokens.push_back("<|user|>");
  gguf.scores.push_back(0);
  gguf.token_types.push_back(4);
  const auto tokenizer = make_gguf_tokenizer(gguf, "m");
  const auto id = static_cast<TokenId>(gguf.tokens.size() - 1);
  const auto ids = tokenizer->encode("<|user|>a", kPlain);
  EXPECT_EQ(ids.front(), id);
  EXPECT_FALSE(tokenizer->is_special(id));
  EXPECT_EQ(tokenizer->decode(ids, true), "<|user|> a");
}

TEST(GgufTokenizer, ByteLevelMergesAndKnowsItsTokens) {
  const auto tokenizer = make_gguf_tokenizer(byte_level_gguf(), "m");
  EXPECT_EQ(tokenizer->kind, "byte-level BPE");
  EXPECT_EQ(tokenizer->encode("the the<|end|>"), (std::vector<TokenId>{257, 258, 259}));
  EXPECT_EQ(tokenizer->encode("the<|end|>", kPlain).size(), 8u);
  EXPECT_EQ(tokenizer->encode("<tool>", kPlain), std::vector<TokenId>{260});
  EXPECT_TRUE(tokenizer->is_special(259));
  EXPECT_FALSE(tokenizer->is_special(260));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("the é\n"), true), "the é\n");
  GgufTokenizer with_bos = byte_level_gguf();
  with_bos.add_bos = true;
  EXPECT_EQ(make_gguf_tokenizer(with_bos, "m")->encode("the"), (std::vector<TokenId>{259, 257}));
}

TEST(GgufTokenizer, EveryKnownPreTokenizerLoads) {
  for (const char* const pre :
       {"gpt-2", "mpt", "olmo", "smollm", "starcoder", "refact", "command-r", "llama-bpe", "dbrx",
        "qwen2", "qwen35", "bloom", "gpt-4o", "tekken", "deepseek-coder", "deepseek-llm",
        "deepseek-v3", "falcon"}) {
    GgufTokenizer gguf = byte_level_gguf();
    gguf.pre = pre;
    const auto tokenizer = make_gguf_tokenizer(gguf, pre);
    const std::string text = "The 123 words, isn't it?\n\n  語 été ok";
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, kPlain), true), text) << pre;
  }
}

TEST(GgufTokenizer, WordPieceGivesTheIdsOfTokenizerJson) {
  const auto cases = nlohmann::json::parse(read_golden("wordpiece/tokenizers.json"));
  const auto& bert = cases["tokenizers"]["bert"];
  GgufTokenizer gguf;
  gguf.model = "bert";
  gguf.tokens.resize(bert["json"]["model"]["vocab"].size());
  gguf.token_types.assign(gguf.tokens.size(), 1);
  for (const auto& [piece, id] : bert["json"]["model"]["vocab"].items()) {
    const bool control = piece == "[PAD]" || piece == "[UNK]" || piece == "[CLS]" ||
                         piece == "[SEP]" || piece == "[MASK]";
    if (control) gguf.token_types[id] = 3;
    gguf.tokens[id] = control                   ? piece
                      : piece.starts_with("##") ? piece.substr(2)
                                                : "\xE2\x96\x81" + piece;
  }
  const auto tokenizer = make_gguf_tokenizer(gguf, "m");
  const auto reference = parse_tokenizer_json(bert["json"].dump(), "t");
  for (const char* const text : {"The quick brown fox", "Übung macht 语言", "unknown ⚙ words"}) {
    EXPECT_EQ(tokenizer->encode(text), reference->encode(text));
  }
}

TEST(GgufTokenizer, WhatIsWrongIsOneClearLine) {
  const auto message = [](const GgufTokenizer& gguf) -> std::string {
    try {
      make_gguf_tokenizer(gguf, "m.gguf");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  GgufTokenizer gguf = byte_level_gguf();
  gguf.pre = "magic";
  EXPECT_EQ(message(gguf).find("m.gguf: the pre-tokenizer \"magic\""), 0u) << message(gguf);
  gguf.model = "rwkv";
  EXPECT_EQ(message(gguf).find("m.gguf: unknown tokenizer \"rwkv\""), 0u) << message(gguf);
  gguf = byte_level_gguf();
  gguf.token_types.pop_back();
  EXPECT_NE(message(gguf).find("token types"), std::string::npos);
  gguf = byte_level_gguf();
  gguf.token_types[3] = 17;
  EXPECT_NE(message(gguf).find("type 17"), std::string::npos);
  gguf = byte_level_gguf();
  gguf.bos_id = 10'000;
  EXPECT_NE(message(gguf).find("10000"), std::string::npos);
  gguf = GgufTokenizer{};
  gguf.model = "llama";
  EXPECT_NE(message(gguf).find("empty"), std::string::npos);
  gguf = gguf_of("bpe_bytes.model", "llama");
  gguf.scores.clear();
  EXPECT_NE(message(gguf).find("scores"), std::string::npos);
  gguf = gguf_of("bpe_bytes.model", "llama");
  gguf.tokens[300] = "\xff";
  EXPECT_NE(message(gguf).find("UTF-8"), std::string::npos);
}

}  // namespace
}  // namespace tigerbot
