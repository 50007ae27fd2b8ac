#include "tokenizer/byte_level_bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {
namespace {

using nlohmann::json;

std::string read_golden(const std::string& name) {
  const std::string path = TIGERBOT_SOURCE_DIR "/tests/golden/tokenizer_bpe/" + name;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string from_hexadecimal(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string stream(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                   bool skip_special_tokens) {
  StreamDecoder decoder(tokenizer, skip_special_tokens);
  std::string text;
  for (const TokenId id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

// The generator of tests/golden/tokenizer_bpe.py.
std::string generated_text(const std::vector<std::string>& fragments, std::uint64_t seed) {
  std::string text;
  for (int i = 0; i < 3000; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    text += fragments[(seed >> 33) % fragments.size()];
  }
  return text;
}

std::uint64_t fnv(const std::vector<TokenId>& ids) {
  std::uint64_t value = 0xCBF29CE484222325u;
  for (const TokenId id : ids) value = (value ^ static_cast<std::uint64_t>(id)) * 0x100000001B3u;
  return value;
}

class ByteLevelBpe : public testing::TestWithParam<const char*> {
 protected:
  static const json& expected() {
    static const json document = json::parse(read_golden("expected.json"));
    return document;
  }
  const json& mine() const { return expected()["tokenizers"][GetParam()]; }
  // Made once for all tests of a model: long patterns take a while to prepare.
  static const Tokenizer* shared_tokenizer(const std::string& name) {
    static std::map<std::string, std::unique_ptr<Tokenizer>> made;
    std::unique_ptr<Tokenizer>& tokenizer = made[name];
    if (!tokenizer) tokenizer = parse_tokenizer_json(read_golden(name + ".json"), name + ".json");
    return tokenizer.get();
  }
  const Tokenizer* tokenizer_ = shared_tokenizer(GetParam());
};

TEST_P(ByteLevelBpe, GivesTheReferencesIds) {
  for (std::size_t i = 0; i < expected()["texts"].size(); ++i) {
    const std::string text = from_hexadecimal(expected()["texts"][i]);
    EXPECT_EQ(tokenizer_->encode(text), mine()["ids"][i].get<std::vector<TokenId>>()) << text;
  }
}

TEST_P(ByteLevelBpe, GivesTheReferencesIdsOnLongTexts) {
  const auto fragments = expected()["fragments"].get<std::vector<std::string>>();
  for (std::size_t seed = 0; seed < mine()["bulk_counts"].size(); ++seed) {
    const std::vector<TokenId> ids = tokenizer_->encode(generated_text(fragments, seed));
    EXPECT_EQ(ids.size(), mine()["bulk_counts"][seed].get<std::size_t>()) << seed;
    EXPECT_EQ(std::to_string(fnv(ids)), mine()["bulk_hashes"][seed].get<std::string>()) << seed;
  }
}

TEST_P(ByteLevelBpe, LeavesOutWhatThePostProcessorAdds) {
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string text = from_hexadecimal(expected()["texts"][i + 2]);
    EXPECT_EQ(tokenizer_->encode(text, {.add_special_tokens = false}),
              mine()["plain"][i].get<std::vector<TokenId>>());
  }
}

TEST_P(ByteLevelBpe, DecodesAsTheReferenceAtOnceAndInAStream) {
  for (std::size_t i = 0; i < mine()["decode_ids"].size(); ++i) {
    const auto ids = mine()["decode_ids"][i].get<std::vector<TokenId>>();
    for (const bool skip : {false, true}) {
      const std::string text =
          mine()[skip ? "decoded_without_special" : "decoded"][i].get<std::string>();
      EXPECT_EQ(tokenizer_->decode(ids, skip), text);
      EXPECT_EQ(stream(*tokenizer_, ids, skip), text);
    }
  }
}

TEST_P(ByteLevelBpe, BatchesOnThreadsGiveTheSameIds) {
  const auto fragments = expected()["fragments"].get<std::vector<std::string>>();
  std::vector<std::string> texts;
  for (std::uint64_t seed = 0; seed < 8; ++seed) texts.push_back(generated_text(fragments, seed));
  texts.insert(texts.begin() + 3, "");
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const EncodedBatch batch = tokenizer_->encode_batch(views, {}, 3);
  ASSERT_EQ(batch.texts.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::vector<TokenId> ids(batch.texts[i].begin(), batch.texts[i].end());
    EXPECT_EQ(ids, tokenizer_->encode(texts[i])) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ByteLevelBpe,
                         testing::Values("gpt2", "gpt2_prefix_space", "smollm2", "llama3", "qwen2",
                                         "bloom", "deepseek3", "o200k", "falcon"));

TEST(ByteLevelBpeText, SpecialTokensInUserTextAreTextIfNotParsed) {
  const auto tokenizer = parse_tokenizer_json(read_golden("gpt2.json"), "gpt2.json");
  const TokenId end = *tokenizer->id("<|end|>");
  EXPECT_TRUE(tokenizer->is_special(end));
  const std::vector<TokenId> parsed = tokenizer->encode("a<|end|>b");
  EXPECT_EQ(std::count(parsed.begin(), parsed.end(), end), 1);
  const std::vector<TokenId> plain =
      tokenizer->encode("a<|end|>b", {.parse_special_tokens = false});
  EXPECT_EQ(std::count(plain.begin(), plain.end(), end), 0);
  EXPECT_EQ(tokenizer->decode(plain, true), "a<|end|>b");
}

TEST(ByteLevelBpeText, ValidTextComesBackUnchanged) {
  const auto tokenizer = parse_tokenizer_json(read_golden("llama3.json"), "llama3.json");
  const std::string text = "  Привет,\n\n世界 😀\t'LL 12345  ";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, {.add_special_tokens = false}), true), text);
}

TEST(ByteLevelBpeText, HugeWordsTakeNoQuadraticTime) {
  const auto tokenizer = parse_tokenizer_json(read_golden("gpt2.json"), "gpt2.json");
  for (const char* unit : {"a", "th", "的", "é", "ing", "\xCC\x81"}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text), false), text) << unit;
  }
}

TEST(ByteLevelBpeText, LongTextsAreCutForThreadsWithoutATrace) {
  for (const char* name : {"gpt2_prefix_space.json", "llama3.json", "bloom.json", "falcon.json"}) {
    const auto tokenizer = parse_tokenizer_json(read_golden(name), name);
    std::string text = "x";
    for (int i = 0; text.size() < 1'500'000; ++i) {
      text += (i % 9 == 0 ? "<|end|>" : i % 5 == 0 ? " word\n" : i % 3 == 0 ? "中文 " : "abc  ");
      text += std::to_string(i);
    }
    const std::string_view views[] = {"a", text, "", text, "b"};
    const EncodedBatch batch = tokenizer->encode_batch(views, {}, 2);
    for (std::size_t i = 0; i < 5; ++i) {
      const std::vector<TokenId> ids(batch.texts[i].begin(), batch.texts[i].end());
      EXPECT_EQ(ids, tokenizer->encode(views[i])) << name << " " << i;
    }
  }
}

TEST(ByteLevelBpeText, TheSameWordGivesTheSameIdsEveryTime) {
  const auto tokenizer = parse_tokenizer_json(read_golden("smollm2.json"), "smollm2.json");
  // More words than the tables of known words hold, so that places are taken over and over.
  std::vector<std::string> words;
  for (int i = 0; i < 300'000; ++i) {
    words.push_back(" w" + std::to_string(i % 7) + (i % 2 ? "аб" : "ab"));
    for (int rest = i; rest > 0; rest /= 26) words.back() += static_cast<char>('a' + rest % 26);
  }
  std::string text;
  for (const std::string& word : words) text += word;
  std::vector<TokenId> apart;
  for (const std::string& word : words) tokenizer->encode(word, {}, apart);
  EXPECT_EQ(tokenizer->encode(text), apart);
}

TEST(ByteLevelBpeParts, MakeATokenizerWithoutJson) {
  ByteLevelBpeParts parts;
  parts.pieces = {"a", "b", "Ġ", "ab", "Ġab", "<end>"};
  parts.merges = {"a b", "Ġ ab"};
  parts.added_tokens = {{.id = 5, .content = "<end>", .special = true}};
  parts.pre_tokenizer =
      R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})";
  const auto tokenizer = make_byte_level_tokenizer(parts, "parts");
  EXPECT_EQ(tokenizer->encode("ab ab<end>ba"), (std::vector<TokenId>{3, 4, 5, 1, 0}));
  parts.merges = {"a c"};
  EXPECT_THROW(make_byte_level_tokenizer(parts, "parts"), Error);
  parts.merges = {"ab"};
  EXPECT_THROW(make_byte_level_tokenizer(parts, "parts"), Error);
}

}  // namespace
}  // namespace tigerbot
