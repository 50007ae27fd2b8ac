#include "tokenizer/training/byte_level_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/gguf_pre_tokenizers.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/training/tokenizer_files.h"

namespace tigerbot {
namespace {

using nlohmann::json;

const std::string kGolden = TIGERBOT_SOURCE_DIR "/tests/golden/bpe_trainer/";

std::vector<std::string_view> lines_of(const std::string& text) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    lines.push_back(std::string_view(text).substr(begin, end - begin));
    begin = end;
  }
  return lines;
}

WordCounts count(const std::string& text, const std::string& pre_tokenizer, int threads) {
  const GgufPreTokenizer form = gguf_pre_tokenizer(pre_tokenizer, "test");
  const auto splitter = PreTokenizer::from_json(json::parse(form.pre_tokenizer), "test");
  const auto normalizer = make_normalizer(json::parse(form.normalizer), "test");
  WordCounter counter(splitter, normalizer.get(), threads);
  counter.add(lines_of(text));
  return counter.finish();
}

std::vector<std::string> spelled(const TrainedBpe& bpe) {
  std::vector<std::string> merges;
  for (const LearnedMerge& merge : bpe.merges) {
    merges.push_back(bpe.pieces[merge.left] + " " + bpe.pieces[merge.right]);
  }
  return merges;
}

TEST(ByteLevelTrainer, PiecesAndMergesAreThoseOfTokenizers) {
  const std::string text = read_file(kGolden + "text.txt");
  const json cases = json::parse(read_file(kGolden + "results.json"));
  ASSERT_GT(cases.size(), 5u);
  for (const json& example : cases) {
    ByteLevelTrainerOptions options;
    options.vocab_size = example["vocab_size"];
    options.min_frequency = example.value("min_frequency", 0);
    options.byte_alphabet = example.value("byte_alphabet", true);
    options.special_tokens = example.value("special_tokens", std::vector<std::string>());
    if (example.contains("max_token_length"))
      options.max_token_length = example["max_token_length"];
    if (example.contains("limit_alphabet")) options.limit_alphabet = example["limit_alphabet"];
    for (const int threads : {1, 3}) {
      options.threads = threads;
      const TrainedBpe bpe = train_byte_level_bpe(
          count(text, example.value("pre_tokenizer", "gpt-2"), threads), options);
      SCOPED_TRACE(example["vocab_size"].dump() + " pieces, " + std::to_string(threads) +
                   " threads");
      EXPECT_EQ(spelled(bpe), example["merges"].get<std::vector<std::string>>());
      EXPECT_EQ(bpe.pieces, example["pieces"].get<std::vector<std::string>>());
    }
  }
}

// Merges as the definition has them: count every pair of every word anew each time.
std::vector<std::string> plain_merges(const WordCounts& words, std::size_t merges) {
  std::vector<std::vector<int>> symbols;
  std::vector<std::string> pieces;
  const auto& characters = byte_level_characters();
  std::vector<int> bytes(256);
  for (int byte = 0; byte < 256; ++byte) bytes[static_cast<std::size_t>(byte)] = byte;
  std::sort(bytes.begin(), bytes.end(), [&](int a, int b) {
    return characters[static_cast<std::size_t>(a)] < characters[static_cast<std::size_t>(b)];
  });
  std::vector<int> ids(256);
  for (int id = 0; id < 256; ++id) {
    ids[static_cast<std::size_t>(bytes[static_cast<std::size_t>(id)])] = id;
    pieces.push_back(
        to_byte_level(std::string(1, static_cast<char>(bytes[static_cast<std::size_t>(id)]))));
  }
  for (std::size_t w = 0; w < words.size(); ++w) {
    symbols.emplace_back();
    for (const char c : words.word(w)) {
      symbols.back().push_back(ids[static_cast<unsigned char>(c)]);
    }
  }
  std::vector<std::string> result;
  while (result.size() < merges) {
    std::map<std::pair<int, int>, std::uint64_t> counts;
    for (std::size_t w = 0; w < symbols.size(); ++w) {
      for (std::size_t i = 1; i < symbols[w].size(); ++i) {
        counts[{symbols[w][i - 1], symbols[w][i]}] += words.count(w);
      }
    }
    if (counts.empty()) break;
    const auto best = std::max_element(counts.begin(), counts.end(), [](auto& a, auto& b) {
      return a.second != b.second ? a.second < b.second : a.first > b.first;
    });
    const auto [left, right] = best->first;
    const std::string joined =
        pieces[static_cast<std::size_t>(left)] + pieces[static_cast<std::size_t>(right)];
    result.push_back(pieces[static_cast<std::size_t>(left)] + " " +
                     pieces[static_cast<std::size_t>(right)]);
    const auto known = std::find(pieces.begin(), pieces.end(), joined);
    const int merged = static_cast<int>(known - pieces.begin());
    if (known == pieces.end()) pieces.push_back(joined);
    for (auto& word : symbols) {
      std::vector<int> out;
      for (std::size_t i = 0; i < word.size(); ++i) {
        if (i + 1 < word.size() && word[i] == left && word[i + 1] == right) {
          out.push_back(merged);
          ++i;
        } else {
          out.push_back(word[i]);
        }
      }
      word = std::move(out);
    }
  }
  return result;
}

TEST(ByteLevelTrainer, MergesFollowTheDefinition) {
  const WordCounts words = count(read_file(kGolden + "text.txt").substr(0, 6000), "gpt-2", 1);
  ByteLevelTrainerOptions options;
  options.vocab_size = 256 + 250;
  EXPECT_EQ(spelled(train_byte_level_bpe(words, options)), plain_merges(words, 250));
}

TEST(WordCounter, CountsAreTheSameWhateverTheThreads) {
  std::string text = read_file(kGolden + "text.txt");
  // Long enough to be cut between threads, as one text.
  std::string whole;
  while (whole.size() < 2'000'000) whole += text;
  const GgufPreTokenizer form = gguf_pre_tokenizer("gpt-2", "test");
  const auto splitter = PreTokenizer::from_json(json::parse(form.pre_tokenizer), "test");
  const auto counts = [&](int threads) {
    WordCounter counter(splitter, nullptr, threads);
    const std::string_view view = whole;
    counter.add(std::span(&view, 1));
    const WordCounts words = counter.finish();
    std::map<std::string, std::uint64_t> by_word;
    for (std::size_t i = 0; i < words.size(); ++i) {
      by_word[std::string(words.word(i))] += words.count(i);
    }
    EXPECT_EQ(by_word.size(), words.size());
    return by_word;
  };
  std::map<std::string, std::uint64_t> expected;
  for (const auto& piece : splitter.split(whole, true).pieces) ++expected[std::string(piece.text)];
  EXPECT_EQ(counts(1), expected);
  EXPECT_EQ(counts(4), expected);
}

TEST(ByteLevelTrainer, WhatIsWrittenIsReadAndEncodesEveryByte) {
  const WordCounts words = count(read_file(kGolden + "text.txt"), "smollm", 2);
  ByteLevelTrainerOptions options;
  options.vocab_size = 700;
  options.special_tokens = {"<s>", "</s>"};
  TokenizerRoles roles;
  roles.special_tokens = options.special_tokens;
  roles.bos_token = "<s>";
  roles.eos_token = "</s>";
  roles.add_bos = true;
  const auto tokenizer = parse_tokenizer_json(
      byte_level_tokenizer_json(train_byte_level_bpe(words, options), roles, "smollm").dump(),
      "new");
  EXPECT_EQ(tokenizer->size(), 700);
  const std::vector<TokenId> ids = tokenizer->encode("</s>자유 42\n\x01");
  EXPECT_EQ(ids.at(0), 0);
  EXPECT_EQ(ids.at(1), 1);
  EXPECT_EQ(tokenizer->decode(ids, true), "자유 42\n\x01");
}

TEST(TokenizerRoles, ContradictionsAreNamed) {
  const auto message = [](const TokenizerRoles& roles) -> std::string {
    try {
      check_roles(roles);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  TokenizerRoles roles;
  roles.special_tokens = {"<s>", "</s>"};
  EXPECT_EQ(message(roles), "");
  roles.eos_token = "<end>";
  EXPECT_NE(message(roles).find("--eos-token \"<end>\" is not among"), std::string::npos);
  roles.eos_token = "";
  roles.special_tokens.push_back("<s>");
  EXPECT_NE(message(roles).find("\"<s>\" is given twice"), std::string::npos);
}

}  // namespace
}  // namespace tigerbot
