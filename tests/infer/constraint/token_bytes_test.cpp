#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "base/utf8.h"
#include "infer/constraint/token_trie.h"

namespace tigerbot::constraint {
namespace {

std::unique_ptr<Tokenizer> golden(const std::string& name) {
  const std::string path = std::string(TIGERBOT_SOURCE_DIR) + "/tests/golden/" + name;
  return name.ends_with(".model") ? parse_sentencepiece_model(read_file(path), path)
                                  : parse_tokenizer_json(read_file(path), path);
}

// What a constraint follows must be what the answer's text becomes: bytes of tokens, one after the
// other, are the decoding of the ids.
TEST(TokenBytes, AreWhatDecodingGives) {
  for (const char* name :
       {"tokenizer_bpe/gpt2.json", "tokenizer_bpe/llama3.json", "tokenizer_bpe/qwen2.json",
        "tokenizer_bpe/smollm2.json", "tokenizer_bpe/bloom.json", "tokenizer_bpe/deepseek3.json",
        "tokenizer_bpe/falcon.json", "tokenizer_bpe/o200k.json",
        "extended_tokenizer/tokenizer.json", "sentencepiece/bpe_bytes.model",
        "sentencepiece/bpe_plain.model", "sentencepiece/unigram_bytes.model"}) {
    const auto tokenizer = golden(name);
    const TokenBytes tokens = token_bytes(*tokenizer);
    std::vector<TokenId> usable;
    for (std::size_t id = 0; id < tokens.of.size(); ++id) {
      if (!tokens.of[id].empty()) usable.push_back(static_cast<TokenId>(id));
    }
    ASSERT_FALSE(usable.empty()) << name;
    int compared = 0;
    for (std::uint64_t round = 0; round < 3000; ++round) {
      std::vector<TokenId> ids;
      std::string bytes;
      for (std::uint64_t k = 0; k < 5; ++k) {
        const TokenId id = usable[random_below({1, round, k}, usable.size())];
        std::string_view own = tokens.of[static_cast<std::size_t>(id)];
        if (k == 0 && tokens.first_loses_space && own.starts_with(' ')) own.remove_prefix(1);
        if (k == 0 && own.empty()) break;  // never drawn: it would be lost
        ids.push_back(id);
        bytes += own;
      }
      if (ids.empty() || !is_valid_utf8(bytes)) continue;
      ++compared;
      ASSERT_EQ(tokenizer->decode(ids, true), bytes) << name << " round " << round;
    }
    EXPECT_GT(compared, 100) << name;
  }
}

TEST(TokenBytes, SpecialTokensHaveNone) {
  const auto tokenizer = golden("tokenizer_bpe/llama3.json");
  const TokenBytes tokens = token_bytes(*tokenizer);
  int special = 0;
  for (std::size_t id = 0; id < tokens.of.size(); ++id) {
    if (!tokenizer->is_special(static_cast<TokenId>(id))) continue;
    EXPECT_EQ(tokens.of[id], "") << id;
    ++special;
  }
  EXPECT_GT(special, 0);
}

}  // namespace
}  // namespace tigerbot::constraint
