#include "data/stages/language.h"

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "data/stages/characters.h"
#include "data/stages/chinese_script.h"

namespace tigerbot::data {
namespace {

// Function words that make a block of Latin text English without asking CLD2: none of them is
// common in another language. At most eight letters each.
constexpr std::array<std::string_view, 36> kEnglish = {
    "the",   "and",   "to",    "that", "with",   "this", "are",  "be",   "from",
    "by",    "which", "have",  "has",  "you",    "not",  "can",  "will", "it",
    "they",  "when",  "their", "been", "would",  "if",   "your", "used", "there",
    "these", "than",  "other", "into", "should", "who",  "were", "what", "but"};

// Kanji whose form is Japan's alone: they tell a Japanese heading without kana from Chinese.
constexpr std::u32string_view kJapaneseOnly =
    U"気価図売働込駅県円広沢桜検歩発変択択単団伝帰応戻払拡拠挙実対当従徴恵拝捜掲撃斉斎暦枠様楽権歓"
    U"歯"
    U"毎殻浄浅渋済涙渓滝焼犠獣畑畠畳県砕稲穂絵継続縄総縁繊聴肩脳臓芸薫蔵覚観訳読謡譲賛転軽辺遅遙郷"
    U"酔鉄"
    U"銭録鋳閲関陥険隠雑霊静頼顕験騒髪鶏黒黙齢峠辻凧凪匂栃榊";

// Characters of nearly every Chinese sentence that Japanese without kana hardly has.
constexpr std::u32string_view kChineseMarkers =
    U"的了是我你他她这這们們在不有就也和为為吗嗎呢吧个個说說会會很";

/// Marks of ideographs that the scan looks up.
struct HanMarks {
  static constexpr std::uint8_t kJapanese = 1, kChinese = 2, kSimplified = 4, kTraditional = 8;
  std::array<std::uint8_t, 0x7000> marks{};  // from U+3000 to U+9FFF

  HanMarks() {
    for (char32_t c = 0x3400; c < 0xA000; ++c) {
      const int sign = chinese_script_sign(c);
      if (sign != 0) marks[c - 0x3000] = sign < 0 ? kSimplified : kTraditional;
    }
    for (const char32_t c : kJapaneseOnly)
      // Some are simplified Chinese too.
      if (marks[c - 0x3000] == 0) marks[c - 0x3000] = kJapanese;
    for (const char32_t c : kChineseMarkers) marks[c - 0x3000] |= kChinese;
  }
};

const HanMarks& han_marks() {
  static const HanMarks built;
  return built;
}

std::uint64_t pack(std::string_view word) {
  std::uint64_t packed = 0;
  for (const char c : word) packed = packed << 8 | static_cast<unsigned char>(c);
  return packed;
}

/// The packed English function words in a small open table.
class EnglishWords {
 public:
  EnglishWords() {
    for (const std::string_view word : kEnglish) {
      std::size_t slot = slot_of(pack(word));
      while (slots_[slot] != 0) slot = (slot + 1) % slots_.size();
      slots_[slot] = pack(word);
    }
  }
  bool contains(std::uint64_t word) const {
    for (std::size_t slot = slot_of(word); slots_[slot] != 0; slot = (slot + 1) % slots_.size())
      if (slots_[slot] == word) return true;
    return false;
  }

 private:
  static std::size_t slot_of(std::uint64_t word) { return (word * 0x9E3779B97F4A7C15u) >> 56; }
  std::array<std::uint64_t, 256> slots_{};
};

/// What a stretch of text (some lines) has.
struct Block {
  std::size_t begin = 0, end = 0;  // bytes
  std::array<std::uint32_t, static_cast<std::size_t>(Script::kCount)> letters{};
  std::uint32_t words = 0, english_words = 0;
  std::uint32_t simplified = 0, traditional = 0, chinese = 0, japanese = 0, corners = 0;

  std::uint32_t of(Script script) const { return letters[static_cast<std::size_t>(script)]; }
  std::uint32_t kana() const { return of(Script::kHiragana) + of(Script::kKatakana); }
  double ideographic_weight() const {
    return 3.0 * (of(Script::kHan) + kana() + of(Script::kHangul));
  }
  double spaced_weight() const {
    double weight = 0;
    for (std::size_t k = 0; k < letters.size(); ++k) {
      const auto script = static_cast<Script>(k);
      if (script == Script::kCommon || script == Script::kHan || script == Script::kHiragana ||
          script == Script::kKatakana || script == Script::kHangul)
        continue;
      weight += letters[k] * (script == Script::kLatin ? 1.0
                              : script == Script::kThai || script == Script::kDevanagari ||
                                      script == Script::kOther
                                  ? 3.0
                                  : 2.0);
    }
    return weight;
  }
};

/// The first language of a script where CLD2 can't say.
std::string_view language_of_script(Script script) {
  switch (script) {
    case Script::kCyrillic:
      return "ru";
    case Script::kGreek:
      return "el";
    case Script::kArabic:
      return "ar";
    case Script::kHebrew:
      return "he";
    case Script::kDevanagari:
      return "hi";
    case Script::kThai:
      return "th";
    default:
      return "";
  }
}

class Detector {
 public:
  explicit Detector(std::string_view text) : text_(text) {}

  DetectedLanguage run() {
    scan();
    assign_han();
    ask_cld2();
    return result();
  }

 private:
  /// Cuts the text into blocks at line ends, and long lines at sentence ends, of some 300 bytes:
  /// small enough that a paragraph in another language shows.
  void scan() {
    static const EnglishWords english;
    const CharacterClass* const classes = character_classes();
    const HanMarks& marks = han_marks();
    const unsigned char* const begin = bytes_of(text_);
    const unsigned char* const end = begin + text_.size();
    Block block;
    std::uint64_t word = 0;
    std::uint32_t length = 0;  // letters of the word so far
    bool accented = false;
    const auto end_word = [&] {
      if (length == 0) return;
      block.letters[static_cast<std::size_t>(Script::kLatin)] += length;
      ++block.words;
      if (length <= 8 && !accented && english.contains(word)) ++block.english_words;
      word = 0;
      length = 0;
      accented = false;
    };
    const auto end_block = [&](const unsigned char* at) {
      block.end = static_cast<std::size_t>(at - begin);
      close(block);
      block = Block{};
      block.begin = static_cast<std::size_t>(at - begin);
    };
    for (const unsigned char* at = begin; at < end;) {
      const unsigned char byte = *at;
      if (byte < 0x80) {
        ++at;
        const unsigned char lower = byte | 0x20;
        if (lower >= 'a' && lower <= 'z') {
          word = word << 8 | lower;
          ++length;
          continue;
        }
        end_word();
        const std::size_t size = static_cast<std::size_t>(at - begin) - block.begin;
        const bool sentence = byte == '.' || byte == '?' || byte == '!';
        if ((byte == '\n' && size >= 40) || (size >= 300 && sentence) || size >= 1000)
          end_block(at);
        continue;
      }
      const char32_t c = next_character(at, end);
      const CharacterClass kind = class_of(classes, c);
      const Script script = script_of(kind);
      if ((kind & kLetter) != 0 && script == Script::kLatin) {
        ++length;
        accented = true;
        continue;
      }
      end_word();
      if ((kind & kLetter) != 0) {
        ++block.letters[static_cast<std::size_t>(script)];
        if (script == Script::kHan && c >= 0x3000 && c < 0xA000) {
          const std::uint8_t mark = marks.marks[c - 0x3000];
          if (mark != 0) {
            block.simplified += (mark & HanMarks::kSimplified) != 0;
            block.traditional += (mark & HanMarks::kTraditional) != 0;
            block.chinese += (mark & HanMarks::kChinese) != 0;
            block.japanese += (mark & HanMarks::kJapanese) != 0;
          }
        }
      } else if (c == 0x300C) {
        ++block.corners;
      } else if ((kind & kSentenceEnd) != 0 &&
                 static_cast<std::size_t>(at - begin) - block.begin >= 300) {
        end_block(at);
      }
    }
    end_word();
    end_block(end);
  }

  /// Files a finished block.
  void close(const Block& block) {
    const double ideographic = block.ideographic_weight(), spaced = block.spaced_weight();
    total_ += ideographic + spaced;
    if (ideographic + spaced == 0) return;
    // Foreign words inside Chinese, Japanese or Korean sentences belong to them.
    const double own = ideographic >= spaced ? ideographic + spaced : ideographic;
    if (ideographic > 0) {
      const std::uint32_t han = block.of(Script::kHan), kana = block.kana(),
                          hangul = block.of(Script::kHangul);
      if (hangul > 0 && hangul >= kana && (2 * hangul >= han || block.chinese == 0)) {
        weights_["ko"] += own;
      } else if (kana > 0 && !(kana * 8 < han && block.chinese > 0)) {
        weights_["ja"] += own;
      } else if (kana == 0 && block.japanese > 0 && block.chinese == 0 &&
                 block.simplified <= block.japanese) {
        weights_["ja"] += own;
      } else {
        han_.push_back(block);
        han_weights_.push_back(own);
      }
    }
    if (spaced > ideographic) {
      if (block.english_words >= 3 && block.english_words * 8 >= block.words) {
        weights_["en"] += spaced;
        english_reliable_ += spaced;
      } else {
        spaced_.push_back(block);
        spaced_weight_ += spaced;
        spaced_bytes_ += block.end - block.begin;
      }
    }
  }

  /// Blocks of Han without kana: Chinese, or headings of a Japanese text.
  void assign_han() {
    const auto japanese = weights_.find("ja");
    const double japanese_weight = japanese == weights_.end() ? 0 : japanese->second;
    std::uint32_t simplified = 0, traditional = 0, corners = 0;
    for (const Block& block : han_) {
      simplified += block.simplified;
      traditional += block.traditional;
      corners += block.corners;
    }
    // Corner brackets quote in traditional text; they decide where no character does.
    const bool mostly_traditional =
        traditional == simplified ? corners > 0 && traditional == 0 : traditional > simplified;
    double chinese = 0;
    for (const double weight : han_weights_) chinese += weight;
    for (std::size_t k = 0; k < han_.size(); ++k) {
      const Block& block = han_[k];
      if (japanese_weight > chinese && block.chinese * 20 < block.of(Script::kHan)) {
        weights_["ja"] += han_weights_[k];
        continue;
      }
      const bool is_traditional = block.simplified == block.traditional
                                      ? mostly_traditional
                                      : block.traditional > block.simplified;
      weights_[is_traditional ? "zh-Hant" : "zh"] += han_weights_[k];
    }
  }

  /// At most 1 KiB of the blocks that CLD2 has to name, from their beginning, middle and end.
  std::string sample() const {
    constexpr std::size_t kMost = 1024, kPiece = 256;
    std::string out;
    if (spaced_bytes_ <= kMost) {
      for (const Block& block : spaced_) out += text_.substr(block.begin, block.end - block.begin);
      return out;
    }
    for (std::size_t piece = 0; piece < kMost / kPiece; ++piece) {
      std::size_t skip = (spaced_bytes_ - kPiece) * piece / (kMost / kPiece - 1);
      std::size_t want = kPiece;
      for (const Block& block : spaced_) {
        const std::size_t size = block.end - block.begin;
        if (skip >= size) {
          skip -= size;
          continue;
        }
        std::string_view part = text_.substr(block.begin + skip, std::min(size - skip, want));
        want -= part.size();
        skip = 0;
        while (!part.empty() && (static_cast<unsigned char>(part.front()) & 0xC0) == 0x80)
          part.remove_prefix(1);
        out += part.substr(0, complete_utf8_prefix(part));
        if (want == 0) break;
      }
      out += '\n';
    }
    return out;
  }

  void ask_cld2() {
    if (spaced_weight_ == 0) return;
    const std::string text = sample();
    CLD2::Language languages[3];
    int percents[3], text_bytes = 0;
    double scores[3];
    bool reliable = false;
    CLD2::CLDHints hints = {nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
    // Blocks of English around make English likelier for what is too short to tell.
    if (english_reliable_ > spaced_weight_) hints.language_hint = CLD2::ENGLISH;
    CLD2::ExtDetectLanguageSummary(text.data(), static_cast<int>(text.size()), true, &hints, 0,
                                   languages, percents, scores, nullptr, &text_bytes, &reliable);
    double assigned = 0;
    for (int k = 0; k < 3; ++k) {
      if (languages[k] == CLD2::UNKNOWN_LANGUAGE || percents[k] == 0) continue;
      std::string code = CLD2::LanguageCode(languages[k]);
      if (code.starts_with("xx") || code == "zh" || code == "zh-Hant" || code == "ja" ||
          code == "ko" || code == "un")
        continue;
      if (code == "iw") code = "he";
      if (code == "jw") code = "jv";
      const double weight = spaced_weight_ * percents[k] / 100;
      weights_[code] += weight;
      assigned += weight;
    }
    cld2_reliable_ = reliable;
    if (assigned > 0) return;
    // Too short for CLD2: the script says what it can.
    Block sum;
    for (const Block& block : spaced_) {
      for (std::size_t k = 0; k < sum.letters.size(); ++k) sum.letters[k] += block.letters[k];
      sum.words += block.words;
      sum.english_words += block.english_words;
    }
    Script script = Script::kLatin;
    for (std::size_t k = 0; k < sum.letters.size(); ++k)
      if (sum.letters[k] > sum.of(script) && k != 0) script = static_cast<Script>(k);
    std::string code(language_of_script(script));
    // Latin letters alone are a guess at English, at little confidence.
    if (script == Script::kLatin) code = "en";
    guessed_ = script == Script::kLatin && sum.english_words == 0 && english_reliable_ == 0;
    if (!code.empty()) weights_[code] += spaced_weight_;
  }

  DetectedLanguage result() {
    DetectedLanguage out;
    // Shares are of what has a language: code and names have none.
    double known = 0;
    for (const auto& item : weights_) known += item.second;
    if (known == 0) return out;
    for (const auto& [language, weight] : weights_)
      out.shares.push_back({language, weight / known});
    std::stable_sort(
        out.shares.begin(), out.shares.end(),
        [](const LanguageShare& a, const LanguageShare& b) { return a.share > b.share; });
    if (out.shares.empty()) return out;
    out.language = out.shares.front().language;
    const bool by_script = out.language == "zh" || out.language == "zh-Hant" ||
                           out.language == "ja" || out.language == "ko";
    const double spaced_certainty = guessed_ ? 0.2 : cld2_reliable_ ? 0.95 : 0.5;
    const bool english = out.language == "en" && english_reliable_ >= spaced_weight_;
    const double certainty = by_script || english ? 0.99 : spaced_certainty;
    // A handful of letters says little, whatever they are.
    out.confidence =
        certainty * total_ / (total_ + 3) * (0.5 + 0.5 * std::min(1.0, known / total_));
    return out;
  }

  const std::string_view text_;
  double total_ = 0, spaced_weight_ = 0, english_reliable_ = 0;
  std::size_t spaced_bytes_ = 0;
  std::vector<Block> han_, spaced_;
  std::vector<double> han_weights_;
  std::map<std::string, double> weights_;
  bool cld2_reliable_ = false, guessed_ = false;
};

class LanguageStage final : public DocumentStage {
 public:
  explicit LanguageStage(JsonReader& reader)
      : keep_(reader.get("keep", std::vector<std::string>{})),
        min_share_(reader.get("min_share", 0.4)),
        min_confidence_(reader.get("min_confidence", 0.3)),
        trust_source_(reader.get("trust_source", true)) {
    if (min_share_ < 0 || min_share_ > 1)
      fail("{} must be between 0 and 1", reader.place("min_share"));
    if (min_confidence_ < 0 || min_confidence_ > 1)
      fail("{} must be between 0 and 1", reader.place("min_confidence"));
  }

  std::string_view name() const override { return "language"; }

  std::optional<Drop> apply(Document& document) const override {
    if (!document.language.empty() && trust_source_) {
      document.scores["language"] = 1;
      return check_kept(document.language, 1, "as the source says");
    }
    const DetectedLanguage detected = detect_language(document.text);
    const double share = detected.shares.empty() ? 0 : detected.shares.front().share;
    document.language = detected.language;
    document.scores["language"] = detected.confidence;
    document.scores["language_share"] = share;
    std::string detail;
    for (const LanguageShare& part : detected.shares)
      detail += fmt::format("{}{} {:.2f}", detail.empty() ? "" : ", ", part.language, part.share);
    if (auto drop = check_kept(detected.language, share, detail)) return drop;
    if (detected.language.empty() || detected.confidence < min_confidence_)
      return Drop{"language.uncertain", detected.confidence, min_confidence_, detail};
    if (share < min_share_ && (keep_.empty() || kept_share(detected) < min_share_))
      return Drop{"language.mixed", share, min_share_, detail};
    return std::nullopt;
  }

 private:
  std::optional<Drop> check_kept(const std::string& language, double share,
                                 std::string detail) const {
    if (keep_.empty() || language.empty() || is_kept(language)) return std::nullopt;
    return Drop{"language.not_kept", share, 0, std::move(detail)};
  }

  bool is_kept(std::string_view language) const {
    return std::find(keep_.begin(), keep_.end(), language) != keep_.end();
  }

  /// A document in several languages that are all kept is no mixture to drop.
  double kept_share(const DetectedLanguage& detected) const {
    double sum = 0;
    for (const LanguageShare& part : detected.shares)
      if (is_kept(part.language)) sum += part.share;
    return sum;
  }

  const std::vector<std::string> keep_;
  const double min_share_, min_confidence_;
  const bool trust_source_;
};

}  // namespace

DetectedLanguage detect_language(std::string_view text) { return Detector(text).run(); }

std::unique_ptr<DocumentStage> make_language_stage(JsonReader& reader) {
  return std::make_unique<LanguageStage>(reader);
}

}  // namespace tigerbot::data
