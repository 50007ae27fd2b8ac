#include "data/stages/text_statistics.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstring>

#include "data/stages/characters.h"

namespace tigerbot::data {
namespace {

constexpr std::uint64_t kHashStart = 0xCBF29CE484222325u, kHashPrime = 0x100000001B3u;

constexpr std::uint64_t hash_step(std::uint64_t hash, std::uint64_t value) {
  return (hash ^ value) * kHashPrime;
}

constexpr std::uint64_t hash_word(std::string_view word) {
  std::uint64_t hash = kHashStart;
  for (const char c : word) hash = hash_step(hash, static_cast<unsigned char>(c));
  return hash;
}

// Words that make up a good part of any prose. ASCII only: one list serves all these languages, as
// the rule asks for a share that lists of key words and code miss in every one of them.
constexpr std::array<std::string_view, 176> kStopWords = {
    // English
    "the", "be", "to", "of", "and", "that", "have", "with", "a", "in", "is", "it", "for", "on",
    "as", "are", "this", "was", "by", "from", "or", "an", "at", "not", "which", "you", "he", "she",
    "they", "we", "i", "his", "her", "had", "has", "but", "their", "its", "can", "will", "if",
    "one", "all", "were", "been", "who", "when", "there", "so", "no", "what", "would", "my", "your",
    "do", "may", "than", "then", "into", "also", "any", "other", "these", "such", "should",
    // German, Dutch
    "der", "die", "das", "und", "ist", "den", "von", "zu", "mit", "sich", "des", "dem", "nicht",
    "ein", "eine", "als", "auch", "auf", "het", "een", "en", "van", "dat", "niet", "zijn", "op",
    "te", "voor", "met",
    // French, Spanish, Italian, Portuguese
    "le", "la", "les", "et", "est", "un", "une", "que", "qui", "dans", "pour", "pas", "sur", "au",
    "du", "ne", "se", "il", "ce", "el", "los", "las", "del", "por", "con", "para", "una", "su",
    "al", "lo", "como", "y", "es", "di", "che", "non", "per", "della", "sono", "da", "si", "o",
    "os", "um", "uma", "em", "com", "mais", "ao", "e", "do", "dos", "das", "na",
    // Scandinavian languages, Polish, Indonesian, Turkish
    "och", "att", "det", "som", "av", "en", "og", "er", "til", "den", "i", "w", "z", "na", "nie",
    "jest", "yang", "dan", "di", "ini", "untuk", "dengan", "bir", "ve", "bu"};

constexpr std::u32string_view kChineseFunction =
    U"的了是在不有和就这這我也他人以为為与與其之而于於或及一个個可中对對上所使用如要会會到时時";
constexpr std::u32string_view kChineseParticles = U"啊呀吧呢吗嗎嘛哦噢啦哈呵嘿哎呐哇喔嗯呗咯唉喂";
constexpr std::u32string_view kKoreanEndings =
    U"은는이가을를의에로와과도만서다고며면지게한된할인들및요";
constexpr std::u32string_view kBullets = U"•●○■□▪▫◆◇★☆►▶▷‣⁃∙·※－＊-*+·・";

// The last syllable of a spoken sentence; a written one ends in -다, a noun form or a case.
constexpr std::u32string_view kKoreanSpoken = U"요죠네지야니래해어아군걸봐돼까냐자라든데게줘써져";
constexpr std::u32string_view kJapaneseSpoken = U"ねよなさぞぜわー";

/// Sets of characters below U+10000 as bits.
class CharacterSet {
 public:
  explicit CharacterSet(std::u32string_view characters) {
    for (const char32_t c : characters) bits_.set(c);
  }
  bool has(char32_t c) const { return c < 0x10000 && bits_[c]; }

 private:
  std::bitset<0x10000> bits_;
};

/// Open addressing over hashes; 0 marks a free slot.
class HashSet {
 public:
  explicit HashSet(std::size_t capacity) {
    std::size_t size = 64;
    while (size < capacity * 2) size *= 2;
    slots_.assign(size, 0);
  }
  /// False if it was there.
  bool insert(std::uint64_t hash) {
    if (hash == 0) hash = 1;
    if (count_ * 2 >= slots_.size()) grow();
    std::size_t slot = (hash * 0x9E3779B97F4A7C15u >> 20) & (slots_.size() - 1);
    while (slots_[slot] != 0) {
      if (slots_[slot] == hash) return false;
      slot = (slot + 1) & (slots_.size() - 1);
    }
    slots_[slot] = hash;
    ++count_;
    return true;
  }
  bool contains(std::uint64_t hash) const {
    std::size_t slot = (hash * 0x9E3779B97F4A7C15u >> 20) & (slots_.size() - 1);
    for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1))
      if (slots_[slot] == hash) return true;
    return false;
  }

 private:
  void grow() {
    std::vector<std::uint64_t> old = std::move(slots_);
    slots_.assign(old.size() * 2, 0);
    count_ = 0;
    for (const std::uint64_t hash : old)
      if (hash != 0) insert(hash);
  }
  std::vector<std::uint64_t> slots_;
  std::size_t count_ = 0;
};

struct Tables {
  CharacterSet function{kChineseFunction}, particles{kChineseParticles}, endings{kKoreanEndings},
      bullets{kBullets}, korean_spoken{kKoreanSpoken}, japanese_spoken{kJapaneseSpoken};
  HashSet stop_words{kStopWords.size()};

  Tables() {
    for (const std::string_view word : kStopWords) stop_words.insert(hash_word(word));
  }
};

const Tables& tables() {
  static const Tables built;
  return built;
}

bool closes(char32_t c) {
  switch (c) {
    case '"':
    case '\'':
    case ')':
    case ']':
    case 0x201D:
    case 0x2019:
    case 0x300D:
    case 0x300F:
    case 0xFF09:
    case 0x300B:
    case 0x3011:
    case 0x00BB:
      return true;
    default:
      return false;
  }
}

/// The whole pass; its state is what the text's end has to close.
class Counter {
 public:
  Counter(std::string_view text, TextKind kind)
      : text_(text),
        begin_(bytes_of(text)),
        end_(begin_ + text.size()),
        lines_(text.size() / 64),
        paragraphs_(text.size() / 512) {
    out_.kind = kind;
    out_.tokens.reserve(text.size() / (kind == TextKind::kChinese ? 3 : 5) + 16);
    short_line_ = kind == TextKind::kSpaced ? 30 : kind == TextKind::kKorean ? 15 : 10;
  }

  TextStatistics run() {
    const CharacterClass* const classes = character_classes();
    std::array<std::uint32_t, 0x1000> histogram{};
    line_begin_ = begin_;
    for (const unsigned char* at = begin_; at < end_;) {
      const unsigned char* const start = at;
      const char32_t c = *at < 0x80 ? *at++ : next_character(at, end_);
      const CharacterClass kind = class_of(classes, c);
      ++histogram[kind & 0x0FFF];
      if ((kind & kLetter) != 0 && (kind & kIdeographic) == 0) {
        // A letter of a word.
        const char32_t lower = c < 0x80 ? (c | 0x20) : c;
        word_hash_ = hash_step(word_hash_, lower);
        ++word_length_;
        last_letter_ = c;
        ++line_characters_;
        previous_ = last_ = c;
        continue;
      }
      if ((kind & (kLetter | kDigit)) == 0 && c != '\'' && c != 0x2019) end_word();
      if ((kind & kSpace) != 0) {
        if (c == '\n') end_line(start, at);
        previous_ = c;
        continue;
      }
      ++line_characters_;
      if ((kind & kIdeographic) != 0) {
        end_word();
        ideograph(c, at);
      } else if ((kind & kDigit) != 0) {
        word_hash_ = hash_step(word_hash_, c);
        ++word_length_;
        last_letter_ = c;
      } else {
        sign(c, kind, at);
      }
      before_last_ = last_;
      previous_ = last_ = c;
    }
    end_word();
    end_line(end_, end_);
    end_paragraph(end_);
    finish(histogram);
    return std::move(out_);
  }

 private:
  void end_word() {
    if (word_length_ == 0) return;
    out_.tokens.push_back({word_hash_, word_length_});
    ++out_.words;
    out_.word_characters += word_length_;
    if (word_length_ > 40) out_.long_words += word_length_;
    if (out_.kind == TextKind::kKorean)
      out_.function_words += word_length_ > 1 && tables_.endings.has(last_letter_);
    else if (out_.kind == TextKind::kSpaced)
      out_.function_words += tables_.stop_words.contains(word_hash_);
    ++sentence_tokens_;
    word_hash_ = kHashStart;
    word_length_ = 0;
  }

  void ideograph(char32_t c, const unsigned char* at) {
    out_.tokens.push_back({hash_step(kHashStart, c), 1});
    ++sentence_tokens_;
    last_letter_ = c;
    if (tables_.function.has(c)) ++out_.function_words;
    if (tables_.particles.has(c)) ++out_.particles;
    if (previous_ == ' ' && at < end_ && *at == ' ') ++out_.spaced_ideographs;
  }

  /// Signs that lines, frames and leaders are drawn with.
  static bool is_rule(char32_t c) {
    constexpr std::u32string_view kRules = U"-=_.*#~+";
    return kRules.find(c) != std::u32string_view::npos || (c >= 0x2500 && c < 0x2580);
  }

  void sign(char32_t c, CharacterClass kind, const unsigned char* at) {
    if (c == last_ && previous_ == c &&
        (c == '!' || c == '?' || c == '~' || c == 0xFF01 || c == 0xFF1F || c == 0xFF5E ||
         c == 0x3002))
      ++out_.shouts;
    if (c == previous_ && is_rule(c)) {
      ++out_.ruled;
      out_.ruled_punctuation += (kind & kPunctuation) != 0;
    }
    if (c == 0xFFFD || (c >= 0xE000 && c <= 0xF8FF)) ++out_.broken;
    if ((kind & kSentenceEnd) != 0) {
      // A full stop inside a number or a name ends nothing.
      const bool ascii = c < 0x80;
      if (!ascii || at >= end_ || *at <= ' ' || *at == '"' || *at == '\'' || *at == ')' ||
          *at >= 0x80)
        end_sentence(true);
    } else if (c == '<' || c == '{' || c == '&') {
      tag(c, at);
    }
  }

  /// Markup: <word ...>, {...} and &name;.
  void tag(char32_t c, const unsigned char* at) {
    const std::size_t left = static_cast<std::size_t>(end_ - at);
    const std::string_view rest(reinterpret_cast<const char*>(at),
                                std::min<std::size_t>(left, 200));
    if (c == '&') {
      std::size_t k = 0;
      while (k < rest.size() && k < 10 && ((rest[k] | 0x20) >= 'a') && ((rest[k] | 0x20) <= 'z'))
        ++k;
      if (k < rest.size() && k >= 2 && rest[k] == ';') out_.tag_characters += k + 2;
      return;
    }
    if (rest.empty()) return;
    if (c == '{') {
      // Code blocks: a brace with a line end or ';' near.
      const std::size_t near = rest.substr(0, 40).find_first_of(";\n");
      if (rest[0] == '{' || rest[0] == '%' || near != std::string_view::npos)
        out_.tag_characters += 8;
      return;
    }
    const char first = rest[0] == '/' && rest.size() > 1 ? rest[1] : rest[0];
    if ((first | 0x20) < 'a' || (first | 0x20) > 'z') return;
    const std::size_t close = rest.find_first_of("<>\n");
    if (close == std::string_view::npos || rest[close] != '>') return;
    // <name> of a manual's synopsis is no markup; <p class="x">, </p>, <br/> are.
    const bool markup = rest[0] == '/' ||
                        rest.substr(0, close).find('=') != std::string_view::npos ||
                        (close > 0 && rest[close - 1] == '/') || close <= 2;
    if (markup) out_.tag_characters += close + 2;
  }

  void end_sentence(bool signed_end) {
    if (sentence_tokens_ == 0) return;
    if (signed_end) note_ending();
    ++out_.sentences;
    out_.ended_sentences += signed_end;
    sentence_tokens_ = 0;
  }

  /// How the sentence or line that ends here ends.
  void note_ending() {
    const CharacterSet& spoken =
        out_.kind == TextKind::kKorean ? tables_.korean_spoken : tables_.japanese_spoken;
    if ((out_.kind != TextKind::kKorean && out_.kind != TextKind::kJapanese) || last_letter_ == 0)
      return;
    ++out_.endings;
    out_.spoken_endings += spoken.has(last_letter_);
    last_letter_ = 0;
  }

  void end_line(const unsigned char* line_end, const unsigned char* next) {
    if (line_characters_ == 0) {
      end_paragraph(line_end);
      line_begin_ = next;
      return;
    }
    ++out_.lines;
    note_ending();
    const std::string_view line(reinterpret_cast<const char*>(line_begin_),
                                static_cast<std::size_t>(line_end - line_begin_));
    const unsigned char* first_at = line_begin_;
    while (first_at < line_end && (*first_at == ' ' || *first_at == '\t')) ++first_at;
    const unsigned char* after_first = first_at;
    const char32_t first = next_character(after_first, line_end);
    const bool bullet = tables_.bullets.has(first) &&
                        (first >= 0x80 || (after_first < line_end && *after_first == ' '));
    out_.bullet_lines += bullet;
    const char32_t end_sign = closes(last_) ? before_last_ : last_;
    const bool ellipsis = end_sign == 0x2026 || line.ends_with("...") || line.ends_with("...]") ||
                          line.ends_with("...)");
    out_.ellipsis_lines += ellipsis;
    const CharacterClass last_kind = class_of(character_classes(), last_);
    const bool terminal = (class_of(character_classes(), end_sign) & kSentenceEnd) != 0 ||
                          last_ == ':' || last_ == 0xFF1A || last_ == ';' || last_ == 0xFF1B;
    out_.terminal_lines += terminal;
    out_.short_lines += line_characters_ < short_line_ && !terminal;
    out_.ends_with_ellipsis = ellipsis;
    out_.ends_open = !terminal && !closes(last_) && (last_kind & kLetter) != 0 &&
                     line_characters_ >= short_line_ * 3;
    if (line_characters_ < 120 && is_dialogue(line)) ++out_.dialogue_lines;
    const std::uint64_t hash = hash_text(line);
    // A drawn line says nothing and repeats nothing.
    const bool has_words = out_.tokens.size() > tokens_before_line_;
    tokens_before_line_ = out_.tokens.size();
    if (!lines_.insert(hash) && line_characters_ >= 5 && has_words) {
      ++out_.repeated_lines;
      out_.repeated_line_characters += line_characters_;
    }
    paragraph_hash_ = hash_step(paragraph_hash_, hash);
    paragraph_characters_ += line_characters_;
    line_characters_ = 0;
    line_begin_ = next;
  }

  void end_paragraph(const unsigned char*) {
    if (paragraph_characters_ == 0) return;
    end_sentence(false);
    ++out_.paragraphs;
    if (!paragraphs_.insert(paragraph_hash_)) {
      ++out_.repeated_paragraphs;
      out_.repeated_paragraph_characters += paragraph_characters_;
    }
    paragraph_hash_ = kHashStart;
    paragraph_characters_ = 0;
  }

  static std::uint64_t hash_text(std::string_view text) {
    std::uint64_t hash = kHashStart ^ text.size();
    std::size_t at = 0;
    for (; at + 8 <= text.size(); at += 8) {
      std::uint64_t word;
      std::memcpy(&word, text.data() + at, 8);
      hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
      hash ^= hash >> 29;
    }
    for (; at < text.size(); ++at) hash = hash_step(hash, static_cast<unsigned char>(text[at]));
    return hash;
  }

  /// A line of a chat log: "12:30 ...", "[12:30] ...", "<name> ...", "Name: ...".
  static bool is_dialogue(std::string_view line) {
    while (!line.empty() && (line.front() == ' ' || line.front() == '[' || line.front() == '('))
      line.remove_prefix(1);
    const auto digit = [&](std::size_t k) {
      return k < line.size() && line[k] >= '0' && line[k] <= '9';
    };
    if (digit(0) && ((line.size() > 4 && line[1] == ':' && digit(2) && digit(3)) ||
                     (line.size() > 5 && digit(1) && line[2] == ':' && digit(3) && digit(4))))
      return true;
    std::size_t colon = line.find(':');
    const std::size_t wide = line.find("：");
    std::size_t width = 1;
    if (wide < colon) {
      colon = wide;
      width = 3;
    }
    if (colon == std::string_view::npos || colon == 0 || colon > 20) return false;
    const std::string_view name = line.substr(0, colon);
    if (name.find(' ') != name.rfind(' ')) return false;
    const std::string_view said = line.substr(colon + width);
    return said.size() > 1 && !said.starts_with("//") && (width == 3 || said.front() == ' ');
  }

  void finish(const std::array<std::uint32_t, 0x1000>& histogram) {
    std::array<std::uint64_t, static_cast<std::size_t>(Script::kCount)> scripts{};
    for (std::size_t k = 0; k < histogram.size(); ++k) {
      const std::uint64_t count = histogram[k];
      if (count == 0) continue;
      if ((k & kSpace) == 0) out_.characters += count;
      if ((k & kLetter) != 0) {
        out_.letters += count;
        if ((k & kScriptMask) < scripts.size()) scripts[k & kScriptMask] += count;
      }
      if ((k & kDigit) != 0) out_.digits += count;
      if ((k & kPunctuation) != 0) out_.punctuation += count;
      if ((k & kSymbol) != 0) out_.symbols += count;
      if ((k & kEmoji) != 0) out_.emoji += count;
      if ((k & kUpper) != 0) out_.upper += count;
    }
    const auto of = [&](Script script) { return scripts[static_cast<std::size_t>(script)]; };
    out_.han = of(Script::kHan);
    out_.hiragana = of(Script::kHiragana);
    out_.katakana = of(Script::kKatakana);
    out_.hangul = of(Script::kHangul);
    out_.latin = of(Script::kLatin);
    if (out_.kind == TextKind::kKorean) count_jamo();
  }

  /// U+3131 to U+318E are E3 84 B1 to E3 86 8E.
  void count_jamo() {
    for (const unsigned char* at = begin_; at + 2 < end_; ++at)
      out_.jamo += at[0] == 0xE3 && ((at[1] == 0x84 && at[2] >= 0xB1) || at[1] == 0x85 ||
                                     (at[1] == 0x86 && at[2] <= 0x8E));
  }

  const std::string_view text_;
  const unsigned char* const begin_;
  const unsigned char* const end_;
  const Tables& tables_ = tables();
  TextStatistics out_;
  HashSet lines_, paragraphs_;
  const unsigned char* line_begin_ = nullptr;
  std::uint64_t word_hash_ = kHashStart, paragraph_hash_ = kHashStart;
  std::uint32_t word_length_ = 0;
  std::uint64_t line_characters_ = 0, paragraph_characters_ = 0, sentence_tokens_ = 0;
  std::uint64_t short_line_ = 30;
  std::size_t tokens_before_line_ = 0;
  char32_t previous_ = '\n', last_ = 0, before_last_ = 0, last_letter_ = 0;
};

}  // namespace

TextKind text_kind(std::string_view language, std::string_view text) {
  if (language.starts_with("zh")) return TextKind::kChinese;
  if (language == "ja") return TextKind::kJapanese;
  if (language == "ko") return TextKind::kKorean;
  if (!language.empty()) return TextKind::kSpaced;
  std::uint64_t han = 0, kana = 0, hangul = 0, other = 0;
  const CharacterClass* const classes = character_classes();
  const unsigned char* const end = bytes_of(text) + text.size();
  for (const unsigned char* at = bytes_of(text); at < end;) {
    const Script script = script_of(class_of(classes, next_character(at, end)));
    han += script == Script::kHan;
    kana += script == Script::kHiragana || script == Script::kKatakana;
    hangul += script == Script::kHangul;
    other += script != Script::kCommon;
  }
  if (3 * (han + kana + hangul) < other) return TextKind::kSpaced;
  if (hangul > han + kana) return TextKind::kKorean;
  return kana * 8 > han ? TextKind::kJapanese : TextKind::kChinese;
}

double TextStatistics::function_word_ratio() const {
  const auto ratio = [](std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  };
  switch (kind) {
    case TextKind::kChinese:
      return ratio(function_words, han);
    case TextKind::kJapanese:
      return ratio(hiragana, han + hiragana + katakana);
    default:
      return ratio(function_words, words);
  }
}

TextStatistics text_statistics(std::string_view text, TextKind kind) {
  return Counter(text, kind).run();
}

bool knows_stop_words(std::string_view language) {
  constexpr std::array<std::string_view, 18> kKnown = {"en", "de", "nl",      "fr", "es", "it",
                                                       "pt", "sv", "no",      "da", "pl", "id",
                                                       "tr", "zh", "zh-Hant", "ja", "ko", ""};
  return std::find(kKnown.begin(), kKnown.end(), language) != kKnown.end();
}

}  // namespace tigerbot::data
