#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"
#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/extension/byte_level_extension.h"
#include "tokenizer/extension/unchanged_text.h"
#include "tokenizer/gguf_pre_tokenizers.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/training/byte_level_trainer.h"
#include "tokenizer/training/tokenizer_files.h"

namespace tigerbot {
namespace {

using nlohmann::json;

const std::string kText = read_file(TIGERBOT_SOURCE_DIR "/tests/golden/bpe_trainer/text.txt");

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

WordCounts count(const PreTokenizer& splitter, const Normalizer* normalizer,
                 const std::string& text) {
  WordCounter counter(splitter, normalizer, 2);
  const std::string_view view = text;
  counter.add(std::span(&view, 1));
  return counter.finish();
}

bool is_ascii(std::string_view line) {
  return std::all_of(line.begin(), line.end(),
                     [](char c) { return static_cast<signed char>(c) > 0; });
}

// An English base: trained on the ASCII lines, without all of the bytes, as SmolLM2.
json english_base(const std::string& pre_tokenizer = "smollm", bool all_bytes = false) {
  std::string english;
  for (std::size_t begin = 0; begin < kText.size();) {
    const std::size_t end = std::min(kText.find('\n', begin), kText.size() - 1) + 1;
    const std::string line = kText.substr(begin, end - begin);
    if (is_ascii(line)) english += line;
    begin = end;
  }
  const GgufPreTokenizer form = gguf_pre_tokenizer(pre_tokenizer, "test");
  const auto splitter = PreTokenizer::from_json(json::parse(form.pre_tokenizer), "test");
  ByteLevelTrainerOptions options;
  options.vocab_size = 500;
  options.special_tokens = {"<|endoftext|>", "<|im_start|>"};
  if (!all_bytes) options.limit_alphabet = 250;
  TokenizerRoles roles;
  roles.special_tokens = options.special_tokens;
  const TrainedBpe bpe = train_byte_level_bpe(count(splitter, nullptr, english), options);
  return json::parse(byte_level_tokenizer_json(bpe, roles, pre_tokenizer).dump());
}

struct Extended {
  json before, after;
  Extension extension;
  std::unique_ptr<Tokenizer> old_tokenizer, new_tokenizer;
};

Extended finish(const json& base_json, const ByteLevelBase& base, Extension extension) {
  Extended result;
  result.before = base_json;
  result.after = json::parse(extended_document(base, extension).dump());
  result.extension = std::move(extension);
  result.old_tokenizer = parse_tokenizer_json(base_json.dump(), "base");
  result.new_tokenizer = parse_tokenizer_json(result.after.dump(), "extended");
  return result;
}

Extended extend(const json& base_json, std::size_t max_pieces, bool allow_changes = false,
                int threads = 2) {
  const ByteLevelBase base = read_byte_level_base(base_json, "base");
  const BaseTextGuard guard({"Latin"});
  ExtensionOptions options;
  options.max_pieces = max_pieces;
  options.guard = allow_changes ? nullptr : &guard;
  options.threads = threads;
  const WordCounts words = count(base.pre_tokenizer, base.normalizer.get(), kText);
  return finish(base_json, base, extend_by_words(base, words, options));
}

Extended extend_with(const json& base_json, const std::vector<std::string>& wanted,
                     std::size_t max_pieces = 65535) {
  const ByteLevelBase base = read_byte_level_base(base_json, "base");
  const BaseTextGuard guard({"Latin"});
  ExtensionOptions options;
  options.max_pieces = max_pieces;
  options.guard = &guard;
  return finish(base_json, base, extend_by_pieces(base, wanted, options));
}

std::vector<TokenId> encode(const Tokenizer& tokenizer, const std::string& text) {
  return tokenizer.encode(text, {.add_special_tokens = false, .parse_special_tokens = true});
}

// Text of the base's characters alone: letters with marks, punctuation, emoji, digits, controls.
std::string random_base_text(std::mt19937& random, const BaseTextGuard& guard) {
  static const std::u32string favourites =
      U"etaoinshrdlu ETAOIN  "
      U".,;:!?'\"()-"
      U"\n\t0123456789éüñçßœ“”‘’–—…€£°•😀👍🏽‍️\u0301ſﬁ";
  std::string text;
  const int length = 1 + static_cast<int>(random() % 40);
  while (static_cast<int>(text.size()) < length) {
    char32_t c = favourites[random() % favourites.size()];
    if (random() % 8 == 0) c = random() % 0x20000;
    if ((c >= 0xD800 && c < 0xE000) || !guard.is_base_character(c)) continue;
    append_utf8(text, c);
  }
  return text;
}

std::string random_text(std::mt19937& random) {
  std::string text;
  const int length = 1 + static_cast<int>(random() % 60);
  while (static_cast<int>(text.size()) < length) {
    switch (random() % 4) {
      case 0:
        append_utf8(text, random() % 0x80);
        break;
      case 1:
        append_utf8(text, 0x4E00 + random() % 0x300);
        break;
      case 2: {
        std::size_t at = random() % (kText.size() - 40);
        while ((static_cast<unsigned char>(kText[at]) & 0xC0) == 0x80) ++at;
        const std::size_t size = complete_utf8_prefix(kText.substr(at, 20));
        text += kText.substr(at, size);
        break;
      }
      default: {
        const char32_t c = random() % 0x110000;
        if (c < 0xD800 || c >= 0xE000) append_utf8(text, c);
      }
    }
  }
  return text;
}

TEST(ByteLevelExtension, NoOldIdChanges) {
  const Extended e = extend(english_base(), 900);
  ASSERT_EQ(e.old_tokenizer->size(), 500);
  ASSERT_EQ(e.new_tokenizer->size(), 900);
  EXPECT_NO_THROW(check_ids_kept(*e.old_tokenizer, *e.new_tokenizer));
  for (TokenId id = 0; id < 500; ++id) {
    EXPECT_EQ(e.old_tokenizer->piece(id), e.new_tokenizer->piece(id));
    EXPECT_EQ(e.old_tokenizer->is_special(id), e.new_tokenizer->is_special(id));
  }
  EXPECT_THROW(check_ids_kept(*e.new_tokenizer, *e.old_tokenizer), Error);
  // Old merges stand first, as they were.
  const json &old_merges = e.before["model"]["merges"], &new_merges = e.after["model"]["merges"];
  ASSERT_GT(new_merges.size(), old_merges.size());
  EXPECT_TRUE(std::equal(old_merges.begin(), old_merges.end(), new_merges.begin()));
}

TEST(ByteLevelExtension, EveryTextAndEveryByteStringComesBack) {
  const Extended e = extend(english_base(), 900);
  EXPECT_EQ(e.extension.byte_pieces, 6u);  // the base has 250 of 256
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    const std::string text = random_text(random);
    EXPECT_EQ(e.new_tokenizer->decode(encode(*e.new_tokenizer, text), false), text);
  }
  // Bytes that are no text do not pass the tokenizer's front door, which reads UTF-8; the merges
  // behind it take any bytes.
  const ByteLevelBase extended = read_byte_level_base(e.after, "extended");
  for (int i = 0; i < 3000; ++i) {
    std::string bytes(1 + random() % 100, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    std::vector<TokenId> ids(bytes.size());
    ids.resize(extended.model->encode(bytes, ids.data()));
    std::string back;
    for (const TokenId id : ids) back += extended.model->bytes(id);
    EXPECT_EQ(back, bytes);
  }
}

TEST(ByteLevelExtension, BaseTextKeepsItsIds) {
  // A base with every byte: where the base drops bytes, the extended tokenizer keeps them instead.
  const Extended e = extend(english_base("smollm", true), 1000);
  const BaseTextGuard guard({"Latin"});
  std::mt19937 random(2);
  std::vector<std::string> texts;
  for (int i = 0; i < 20000; ++i) texts.push_back(random_base_text(random, guard));
  const TextChanges changes = count_changes(*e.old_tokenizer, *e.new_tokenizer, texts, 2);
  EXPECT_EQ(changes.texts, 20000u);
  EXPECT_EQ(changes.changed_texts, 0u) << changes.first_changed;
  // And other text is shorter.
  const std::string korean = "모든 인간은 태어날 때부터 자유로우며";
  EXPECT_LT(2 * encode(*e.new_tokenizer, korean).size(), encode(*e.old_tokenizer, korean).size());
}

TEST(ByteLevelExtension, BaseTextChangesOnlyWhenAllowed) {
  const Extended e = extend(english_base("smollm", true), 1000, /*allow_changes=*/true);
  const std::vector<std::string> lines = {"They are endowed with reason and conscience",
                                          "Tous les êtres humains naissent libres",
                                          "aabbbbbaaabaaaab aaabbaab"};
  EXPECT_GT(count_changes(*e.old_tokenizer, *e.new_tokenizer, lines, 1).changed_texts, 0u);
}

TEST(ByteLevelExtension, EveryNewPieceCanBeReached) {
  const Extended e = extend(english_base(), 900);
  const ByteLevelBase extended = read_byte_level_base(e.after, "extended");
  for (std::size_t id = 500; id < extended.pieces.size(); ++id) {
    const std::string bytes = *from_byte_level(extended.pieces[id]);
    std::vector<TokenId> ids(bytes.size());
    ids.resize(extended.model->encode(bytes, ids.data()));
    EXPECT_EQ(ids, std::vector<TokenId>{static_cast<TokenId>(id)}) << extended.pieces[id];
    if (is_valid_utf8(bytes)) {
      // The pre-tokenizer does not cut it either.
      EXPECT_EQ(encode(*e.new_tokenizer, bytes), ids) << bytes;
    }
  }
}

TEST(ByteLevelExtension, NeverPassesTheLimit) {
  const json base = english_base();
  for (const std::size_t limit : {501u, 506u, 507u, 640u}) {
    EXPECT_EQ(extend(base, limit).new_tokenizer->size(), static_cast<std::int64_t>(limit));
    EXPECT_LE(
        extend_with(base, {"人人生而自由", "모든 인간은", "すべての"}, limit).new_tokenizer->size(),
        static_cast<std::int64_t>(limit));
  }
  EXPECT_NE(
      message_of([&] { extend(base, 500); }).find("has 500 pieces already and --max-pieces is 500"),
      std::string::npos);
}

TEST(ByteLevelExtension, AddedTokensPastTheVocabularyKeepTheirIds) {
  json base = english_base();
  base["added_tokens"].push_back({{"id", 500u},
                                  {"content", "<tool>"},
                                  {"single_word", false},
                                  {"lstrip", false},
                                  {"rstrip", false},
                                  {"normalized", false},
                                  {"special", true}});
  const Extended e = extend(base, 700);
  EXPECT_EQ(e.new_tokenizer->id("<tool>"), 500);
  EXPECT_EQ(encode(*e.new_tokenizer, "<tool>"), std::vector<TokenId>{500});
  EXPECT_EQ(e.after["model"]["vocab"]["<tool>"], 500);
  EXPECT_EQ(e.new_tokenizer->size(), 700);
}

TEST(ByteLevelExtension, OrderOfPiecesIsTheSameWhateverTheThreads) {
  const json base = english_base();
  EXPECT_EQ(extend(base, 900, false, 1).after.dump(), extend(base, 900, false, 4).after.dump());
}

// What tokenizers and transformers make of the file, and that it is the file.
TEST(ByteLevelExtension, IdsAreThoseOfTokenizersWithTheSameFile) {
  const std::string folder = TIGERBOT_SOURCE_DIR "/tests/golden/extended_tokenizer/";
  const json golden = json::parse(read_file(folder + "tokenizer.json"));
  const Extended e = extend(english_base(), 900);
  EXPECT_EQ(e.after["model"], golden["model"]);
  EXPECT_EQ(e.after["pre_tokenizer"], golden["pre_tokenizer"]);
  const json ids = json::parse(read_file(folder + "ids.json"));
  ASSERT_GT(ids.size(), 100u);
  std::size_t begin = 0;
  for (const json& row : ids) {
    const std::size_t end = std::min(kText.find('\n', begin), kText.size());
    const std::string line = kText.substr(begin, end - begin);
    EXPECT_EQ(encode(*e.new_tokenizer, line), row.get<std::vector<TokenId>>()) << line;
    begin = end + 1;
  }
}

TEST(ByteLevelExtension, PiecesOfAnotherTokenizerComeWithWhatMakesThem) {
  const std::vector<std::string> wanted{"人",     "自由", "人人生而自由", " 모든", "the!",
                                        "ま。れ", "of"};
  const Extended e = extend_with(english_base(), wanted);
  for (const char* piece : {"人", "自由", "人人生而自由", " 모든"}) {
    const std::vector<TokenId> ids = encode(*e.new_tokenizer, piece);
    EXPECT_EQ(ids.size(), 1u) << piece;
    EXPECT_GE(ids[0], 506) << piece;
  }
  EXPECT_GT(e.extension.intermediate, 3u);
  EXPECT_EQ(e.extension.cut, 2u);  // a word and its punctuation: the pre-tokenizer parts them
  EXPECT_EQ(e.extension.unsafe + e.extension.known, 1u);  // "of" is English
  EXPECT_EQ(encode(*e.new_tokenizer, "of it"), encode(*e.old_tokenizer, "of it"));
}

TEST(ByteLevelExtension, BadBasesAreNamed) {
  json hole = english_base();
  hole["model"]["vocab"]["Ġhole"] = 502u;
  EXPECT_NE(message_of([&] { extend(hole, 900); }).find("no piece has the id 500"),
            std::string::npos);
  json twice = english_base();
  twice["model"]["vocab"]["twice"] = 300u;
  EXPECT_NE(message_of([&] { extend(twice, 900); }).find("have the same id 300"),
            std::string::npos);
  json conflict = english_base();
  conflict["added_tokens"][0]["id"] = 7u;
  EXPECT_NE(message_of([&] { extend(conflict, 900); }).find("contradicts itself"),
            std::string::npos);
  json wordpiece = english_base();
  wordpiece["model"]["type"] = "WordPiece";
  EXPECT_NE(message_of([&] { extend(wordpiece, 900); }).find("only byte-level BPE"),
            std::string::npos);
}

TEST(BaseTextGuard, KnowsWhatPartsOfCharactersSay) {
  const BaseTextGuard latin({"Latin"});
  EXPECT_TRUE(latin.may_occur("the"));
  EXPECT_TRUE(latin.may_occur("\xC3\xA9"));       // é
  EXPECT_TRUE(latin.may_occur("\xE2\x80\x9C"));   // “
  EXPECT_TRUE(latin.may_occur("\x80\x99"));       // the end of some character
  EXPECT_TRUE(latin.may_occur("\xF0\x9F\x98"));   // the beginning of an emoji
  EXPECT_TRUE(latin.may_occur("\xEF\xBF\xBD"));   // U+FFFD
  EXPECT_FALSE(latin.may_occur("\xE4\xB8\xAD"));  // 中
  EXPECT_FALSE(latin.may_occur("\xE4\xB8"));      // the beginning of an ideograph
  EXPECT_FALSE(latin.may_occur("\x80\xE4"));      // an ideograph begins at its end
  EXPECT_FALSE(latin.may_occur(" \xEA\xB0"));     // a Hangul syllable after a space
  EXPECT_TRUE(latin.may_occur("\xEA"));           // U+A700 to U+A7FF are Latin
  EXPECT_FALSE(latin.may_occur("\xE3\x80\x82"));  // 。
  EXPECT_FALSE(latin.may_occur("\xEF\xBC\x8C"));  // ，
  EXPECT_FALSE(latin.may_occur("\xD0\xB9"));      // й
  EXPECT_TRUE(BaseTextGuard({"Latin", "Cyrillic"}).may_occur("\xD0\xB9"));
  EXPECT_TRUE(latin.is_base_text("Naïve café, 42 😀!"));
  EXPECT_FALSE(latin.is_base_text("Tōkyō 東京"));
  EXPECT_THROW(BaseTextGuard({"Klingonese"}), Error);
}

// Whatever may_occur() denies occurs in no base text: tried on every part of random text.
TEST(BaseTextGuard, NeverDeniesWhatBaseTextHolds) {
  const BaseTextGuard latin({"Latin"});
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = random_base_text(random, latin);
    for (std::size_t begin = 0; begin < text.size(); ++begin) {
      for (std::size_t size = 1; size <= 6 && begin + size <= text.size(); ++size) {
        ASSERT_TRUE(latin.may_occur(text.substr(begin, size)));
      }
    }
  }
}

}  // namespace
}  // namespace tigerbot
