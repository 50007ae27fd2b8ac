#include "data/stages/rules.h"

#include <cmath>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "data/stages/phrase_lists.h"
#include "data/stages/repetition.h"

namespace tigerbot::data {
namespace {

/// Everything that the rules measure of one document; repetition last, because it costs most.
struct Measures {
  TextStatistics text;
  PhraseCounts phrases;
  Repetition repetition;
  bool stop_words_known = true;
};

double ratio(double part, double whole) { return whole == 0 ? 0 : part / whole; }

/// Tokens of a sentence, headings and list entries included.
double sentence_length(const Measures& m) {
  return ratio(static_cast<double>(m.text.tokens.size()), static_cast<double>(m.text.sentences));
}

double per_thousand(const Measures& m, PhraseGroup group) {
  // A phrase of an ideographic language is some three characters, of another some ten.
  return ratio(1000.0 * m.phrases.count(group), static_cast<double>(m.text.characters));
}

/// Signs of spoken and chat language for each thousand characters.
double chat_signs(const Measures& m) {
  const TextStatistics& t = m.text;
  double signs = m.phrases.count(PhraseGroup::kChat) + static_cast<double>(t.shouts + t.emoji);
  if (t.kind == TextKind::kChinese) signs += static_cast<double>(t.particles);
  if (t.kind == TextKind::kKorean) signs += static_cast<double>(t.jamo);
  return ratio(1000.0 * signs, static_cast<double>(t.characters));
}

/// A single phrase proves nothing: two different ones, or three in all, do.
double advertisement(const Measures& m) {
  const bool proven = m.phrases.kinds(PhraseGroup::kAdvertisement) >= 2 ||
                      m.phrases.count(PhraseGroup::kAdvertisement) >= 3;
  return proven ? per_thousand(m, PhraseGroup::kAdvertisement) : 0;
}

double placeholder(const Measures& m) { return per_thousand(m, PhraseGroup::kPlaceholder); }

/// A teaser is short; an author ends a chapter with an ellipsis too.
constexpr std::uint64_t kTeaser = 1000;

double truncated(const Measures& m) {
  const std::uint64_t longest = m.text.kind == TextKind::kSpaced ? 2 * kTeaser : kTeaser;
  return (m.text.ends_with_ellipsis && m.text.characters < longest) || m.phrases.teaser_at_end;
}

double cut_off(const Measures& m) { return m.text.ends_open ? 1 : 0; }

enum class Bound : std::uint8_t { kMin, kMax };

struct Rule {
  std::string_view reason, key, meaning;
  Bound bound;
  std::array<double, 4> defaults;  // spaced, Chinese, Japanese, Korean
  double (*value)(const Measures&);
};

constexpr double kOff = std::numeric_limits<double>::quiet_NaN();

double d(std::uint64_t value) { return static_cast<double>(value); }

// The order is that in which a document is tried; the first rule that it fails names the drop.
const std::vector<Rule>& rules() {
  using M = const Measures&;
  static const std::vector<Rule> list = {
      {"rules.too_short",
       "min_characters",
       "characters without white space",
       Bound::kMin,
       {120, 40, 40, 45},
       [](M m) { return d(m.text.characters); }},
      {"rules.too_long",
       "max_characters",
       "characters without white space",
       Bound::kMax,
       {5e6, 3e6, 3e6, 3e6},
       [](M m) { return d(m.text.characters); }},
      {"rules.broken_characters",
       "max_broken_ratio",
       "U+FFFD and private-use characters among all",
       Bound::kMax,
       {0.002, 0.002, 0.002, 0.002},
       [](M m) { return ratio(d(m.text.broken), d(m.text.characters)); }},
      {"rules.placeholder",
       "max_placeholders",
       "\"lorem ipsum\", \"404 not found\" and the like per 1,000 characters",
       Bound::kMax,
       {3, 6, 6, 6},
       placeholder},
      {"rules.markup",
       "max_markup_ratio",
       "characters in tags, entities and braces of code",
       Bound::kMax,
       {0.1, 0.1, 0.15, 0.1},
       [](M m) { return ratio(d(m.text.tag_characters), d(m.text.characters)); }},
      {"rules.symbol_ratio",
       "max_symbol_ratio",
       "symbols (+, =, $, ☆) among the characters",
       Bound::kMax,
       {0.15, 0.15, 0.15, 0.15},
       [](M m) { return ratio(d(m.text.symbols), d(m.text.characters)); }},
      {"rules.digit_ratio",
       "max_digit_ratio",
       "digits among the characters",
       Bound::kMax,
       {0.2, 0.25, 0.25, 0.25},
       [](M m) { return ratio(d(m.text.digits), d(m.text.characters)); }},
      {"rules.punctuation_ratio",
       "max_punctuation_ratio",
       "punctuation among the characters, a drawn line (----) being one",
       Bound::kMax,
       {0.3, 0.35, 0.35, 0.3},
       [](M m) {
         return ratio(d(m.text.punctuation - m.text.ruled_punctuation),
                      d(m.text.characters - m.text.ruled));
       }},
      {"rules.letter_ratio",
       "min_letter_ratio",
       "letters among the characters, a drawn line being one",
       Bound::kMin,
       {0.65, 0.6, 0.6, 0.6},
       [](M m) { return ratio(d(m.text.letters), d(m.text.characters - m.text.ruled)); }},
      {"rules.upper_ratio",
       "max_upper_ratio",
       "capitals among the Latin letters of spaced languages",
       Bound::kMax,
       {0.4, kOff, kOff, kOff},
       [](M m) { return ratio(d(m.text.upper), d(m.text.letters)); }},
      {"rules.foreign_letters",
       "min_own_letter_ratio",
       "letters of the language's own scripts among all letters",
       Bound::kMin,
       {kOff, 0.15, 0.15, 0.15},
       [](M m) {
         const double own = m.text.kind == TextKind::kKorean
                                ? d(m.text.hangul + m.text.han)
                                : d(m.text.han + m.text.hiragana + m.text.katakana);
         return ratio(own, d(m.text.letters));
       }},
      {"rules.word_length",
       "min_word_length",
       "mean length of words",
       Bound::kMin,
       {3, kOff, kOff, 1.7},
       [](M m) { return ratio(d(m.text.word_characters), d(m.text.words)); }},
      {"rules.word_length",
       "max_word_length",
       "mean length of words",
       Bound::kMax,
       {10, kOff, kOff, 6.5},
       [](M m) { return ratio(d(m.text.word_characters), d(m.text.words)); }},
      {"rules.long_words",
       "max_long_word_ratio",
       "characters in words of more than 40",
       Bound::kMax,
       {0.1, 0.1, 0.1, 0.1},
       [](M m) { return ratio(d(m.text.long_words), d(m.text.characters)); }},
      {"rules.spaced_characters",
       "max_spaced_ratio",
       "ideographs and kana that stand between spaces",
       Bound::kMax,
       {kOff, 0.2, 0.2, kOff},
       [](M m) {
         return ratio(d(m.text.spaced_ideographs),
                      d(m.text.han + m.text.hiragana + m.text.katakana));
       }},
      {"rules.stop_words",
       "min_stop_word_ratio",
       "stop words among words; function characters, kana or endings",
       Bound::kMin,
       {0.08, 0.015, 0.08, 0.12},
       [](M m) { return m.stop_words_known ? m.text.function_word_ratio() : 1; }},
      {"rules.sentence_length",
       "min_sentence_length",
       "mean words (zh, ja: characters) of a sentence",
       Bound::kMin,
       {3, 4.5, 5, 2.5},
       sentence_length},
      {"rules.sentence_length",
       "max_sentence_length",
       "mean words (zh, ja: characters) of a sentence",
       Bound::kMax,
       {100, 200, 200, 60},
       sentence_length},
      {"rules.no_sentences",
       "min_ended_sentences",
       "sentences with their sign, for each 1,000 characters",
       Bound::kMin,
       {0.5, 1, 1, 1},
       [](M m) { return ratio(1000.0 * d(m.text.ended_sentences), d(m.text.characters)); }},
      {"rules.bullets",
       "max_bullet_ratio",
       "lines that begin with a bullet",
       Bound::kMax,
       {0.9, 0.9, 0.9, 0.9},
       [](M m) { return m.text.lines < 3 ? 0 : ratio(d(m.text.bullet_lines), d(m.text.lines)); }},
      {"rules.ellipses",
       "max_ellipsis_ratio",
       "lines that end in an ellipsis",
       Bound::kMax,
       {0.3, 0.3, 0.3, 0.3},
       [](M m) { return m.text.lines < 3 ? 0 : ratio(d(m.text.ellipsis_lines), d(m.text.lines)); }},
      {"rules.short_lines",
       "max_short_line_ratio",
       "lines under 30 (zh, ja: 10; ko: 15) characters that end no sentence",
       Bound::kMax,
       {0.85, 0.8, 0.8, 0.8},
       [](M m) { return m.text.lines < 5 ? 0 : ratio(d(m.text.short_lines), d(m.text.lines)); }},
      {"rules.line_ends",
       "min_terminal_line_ratio",
       "lines that end in . ! ? : or the like",
       Bound::kMin,
       {0.02, 0.02, 0.02, 0.02},
       [](M m) { return m.text.lines < 5 ? 1 : ratio(d(m.text.terminal_lines), d(m.text.lines)); }},
      {"rules.dialogue_lines",
       "max_dialogue_ratio",
       "lines of the form \"12:30 Name\" or \"Name: text\"",
       Bound::kMax,
       {0.6, 0.6, 0.6, 0.6},
       [](M m) { return m.text.lines < 4 ? 0 : ratio(d(m.text.dialogue_lines), d(m.text.lines)); }},
      {"rules.advertisement",
       "max_advertisement",
       "advertising phrases per 1,000 characters, if proven",
       Bound::kMax,
       {4, 12, 12, 12},
       advertisement},
      {"rules.chat",
       "max_chat",
       "signs of spoken and chat language per 1,000 characters",
       Bound::kMax,
       {6, 20, 12, 15},
       chat_signs},
      {"rules.spoken",
       "max_spoken_ratio",
       "ends of sentences in a spoken form (ja -ね -よ, ko -요 -네), from four on",
       Bound::kMax,
       {kOff, kOff, 0.6, 0.6},
       [](M m) {
         return m.text.endings < 4 ? 0 : ratio(d(m.text.spoken_endings), d(m.text.endings));
       }},
      {"rules.truncated",
       "max_truncated",
       "1 if the text ends in \"read more\", or a short one in an ellipsis",
       Bound::kMax,
       {0, 0, 0, 0},
       truncated},
      {"rules.cut_off",
       "max_cut_off",
       "1 if the last line is long and stops inside a sentence",
       Bound::kMax,
       {kOff, kOff, kOff, kOff},
       cut_off},
      {"rules.repeated_lines",
       "max_repeated_lines",
       "lines that stood before",
       Bound::kMax,
       {0.4, 0.4, 0.4, 0.4},
       [](M m) { return ratio(d(m.text.repeated_lines), d(m.text.lines)); }},
      {"rules.repeated_lines",
       "max_repeated_line_characters",
       "characters in lines that stood before",
       Bound::kMax,
       {0.3, 0.3, 0.3, 0.3},
       [](M m) { return ratio(d(m.text.repeated_line_characters), d(m.text.characters)); }},
      {"rules.repeated_paragraphs",
       "max_repeated_paragraphs",
       "paragraphs that stood before",
       Bound::kMax,
       {0.4, 0.4, 0.4, 0.4},
       [](M m) { return ratio(d(m.text.repeated_paragraphs), d(m.text.paragraphs)); }},
      {"rules.repeated_paragraphs",
       "max_repeated_paragraph_characters",
       "characters in paragraphs that stood before",
       Bound::kMax,
       {0.2, 0.2, 0.2, 0.2},
       [](M m) { return ratio(d(m.text.repeated_paragraph_characters), d(m.text.characters)); }},
#define TIGERBOT_NGRAM(kind, n, index, limit)                                       \
  {                                                                                 \
    "rules.repeated_ngrams", "max_" #kind "_" #n "_gram",                           \
        "characters in n-grams (zh, ja: of twice as many characters)", Bound::kMax, \
        {limit, limit + 0.02, limit + 0.02, limit + 0.02},                          \
        [](M m) { return m.repetition.kind[index]; }                                \
  }
      TIGERBOT_NGRAM(top, 2, 0, 0.20),
      TIGERBOT_NGRAM(top, 3, 1, 0.20),
      TIGERBOT_NGRAM(top, 4, 2, 0.20),
      TIGERBOT_NGRAM(repeated, 5, 0, 0.35),
      TIGERBOT_NGRAM(repeated, 6, 1, 0.32),
      TIGERBOT_NGRAM(repeated, 7, 2, 0.29),
      TIGERBOT_NGRAM(repeated, 8, 3, 0.26),
      TIGERBOT_NGRAM(repeated, 9, 4, 0.23),
      TIGERBOT_NGRAM(repeated, 10, 5, 0.20),
#undef TIGERBOT_NGRAM
  };
  return list;
}

/// The first rule that looks at repetition.
std::size_t first_repetition_rule() {
  std::size_t k = 0;
  while (rules()[k].reason != "rules.repeated_ngrams") ++k;
  return k;
}

Measures cheap_measures(std::string_view text, std::string_view language, TextKind kind) {
  Measures measures;
  measures.text = text_statistics(text, kind);
  measures.phrases = count_phrases(text);
  measures.stop_words_known = kind != TextKind::kSpaced || knows_stop_words(language);
  return measures;
}

void measure_repetition(Measures& measures, TextKind kind) {
  const bool by_character = kind == TextKind::kChinese || kind == TextKind::kJapanese;
  measures.repetition = repetition(measures.text.tokens, by_character ? 2 : 1);
}

using Limits = std::array<double, 64>;

class RulesStage final : public DocumentStage {
 public:
  explicit RulesStage(JsonReader& reader) {
    for (std::size_t kind = 0; kind < 4; ++kind)
      for (std::size_t k = 0; k < rules().size(); ++k)
        defaults_[kind][k] = rules()[k].defaults[kind];
    if (auto all = reader.find_object("limits")) {
      for (Limits& limits : defaults_) read_limits(*all, limits);
      all->finish();
    }
    disable(reader, defaults_);
    if (auto languages = reader.find_object("languages")) {
      for (const auto& item : languages->value().items()) {
        JsonReader entry = languages->object(item.key());
        Limits limits = defaults_[static_cast<std::size_t>(text_kind(item.key(), ""))];
        read_limits(entry, limits);
        entry.finish();
        languages_.emplace(item.key(), limits);
      }
      languages->finish();
    }
  }

  std::string_view name() const override { return "rules"; }

  std::optional<Drop> apply(Document& document) const override {
    const TextKind kind = text_kind(document.language, document.text);
    const auto special = languages_.find(document.language);
    const Limits& limits =
        special == languages_.end() ? defaults_[static_cast<std::size_t>(kind)] : special->second;
    static const std::size_t repetition_rule = first_repetition_rule();
    Measures measures = cheap_measures(document.text, document.language, kind);
    for (std::size_t k = 0; k < rules().size(); ++k) {
      if (k == repetition_rule) measure_repetition(measures, kind);
      const double limit = limits[k];
      if (std::isnan(limit)) continue;
      const Rule& rule = rules()[k];
      const double value = rule.value(measures);
      if (rule.bound == Bound::kMin ? value >= limit : value <= limit) continue;
      return Drop{std::string(rule.reason), value, limit, detail(rule, measures)};
    }
    return std::nullopt;
  }

 private:
  /// A limit of the recipe: a number, or false for a rule that is off.
  static void read_limits(JsonReader& reader, Limits& limits) {
    for (std::size_t k = 0; k < rules().size(); ++k) {
      const auto value = reader.find<Json>(rules()[k].key);
      if (!value) continue;
      if (value->is_boolean() && !value->get<bool>()) {
        limits[k] = kOff;
      } else if (value->is_number()) {
        limits[k] = value->get<double>();
      } else {
        fail("{} must be a number, or false to switch the rule off", reader.place(rules()[k].key));
      }
    }
  }

  /// `disable = ["truncated"]`: rules by the name after "rules.".
  static void disable(JsonReader& reader, std::array<Limits, 4>& defaults) {
    for (const std::string& name : reader.get("disable", std::vector<std::string>{})) {
      bool found = false;
      std::vector<std::string> names;
      for (std::size_t k = 0; k < rules().size(); ++k) {
        const std::string known(rules()[k].reason.substr(std::string_view("rules.").size()));
        names.push_back(known);
        if (known != name) continue;
        found = true;
        for (Limits& limits : defaults) limits[k] = kOff;
      }
      if (!found)
        fail("{}: there is no rule {}{}", reader.place("disable"), quote(name),
             did_you_mean(name, names));
    }
  }

  static std::string detail(const Rule& rule, const Measures& measures) {
    if (rule.reason == "rules.advertisement")
      return measures.phrases.example(PhraseGroup::kAdvertisement);
    if (rule.reason == "rules.chat") return measures.phrases.example(PhraseGroup::kChat);
    if (rule.reason == "rules.placeholder")
      return measures.phrases.example(PhraseGroup::kPlaceholder);
    return std::string(rule.key);
  }

  std::array<Limits, 4> defaults_{};
  std::map<std::string, Limits, std::less<>> languages_;
};

}  // namespace

std::vector<RuleInformation> rule_list() {
  std::vector<RuleInformation> out;
  for (const Rule& rule : rules())
    out.push_back({rule.reason, rule.key, rule.meaning, rule.defaults});
  return out;
}

std::vector<double> rule_values(std::string_view text, std::string_view language) {
  const TextKind kind = text_kind(language, text);
  Measures measures = cheap_measures(text, language, kind);
  measure_repetition(measures, kind);
  std::vector<double> out;
  for (const Rule& rule : rules()) out.push_back(rule.value(measures));
  return out;
}

std::unique_ptr<DocumentStage> make_rules_stage(JsonReader& reader) {
  return std::make_unique<RulesStage>(reader);
}

}  // namespace tigerbot::data
