#include "data/stages/harmful.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "data/stages/harm_classifier.h"
#include "data/statistics.h"

namespace tigerbot::data {
namespace {

std::vector<std::string> words_of(const std::vector<ListedWord>& words) {
  std::vector<std::string> out;
  out.reserve(words.size());
  for (const ListedWord& word : words) out.push_back(word.word);
  return out;
}

}  // namespace

HarmDictionary::HarmDictionary(std::vector<ListedWord> words)
    : words_(std::move(words)), automaton_(words_of(words_)) {}

DictionaryFinding HarmDictionary::find(std::string_view text) const {
  std::vector<PhraseMatch> kept;
  automaton_.scan(text, [&](const PhraseMatch& match) {
    // Matches come by their ends: a longer one takes the place of those it covers, and one that
    // overlaps what stands before it is passed over.
    while (!kept.empty() && kept.back().begin >= match.begin && kept.back().end < match.end)
      kept.pop_back();
    if (kept.empty() || kept.back().end <= match.begin) kept.push_back(match);
  });
  DictionaryFinding finding;
  for (const PhraseMatch& match : kept) {
    const ListedWord& word = words_[match.phrase];
    if (word.weight == 0) continue;
    ++finding.hits;
    finding.weight += word.weight;
    finding.categories[word.category] += word.weight;
    if (finding.examples.size() < 60)
      finding.examples += (finding.examples.empty() ? "" : ", ") + word.word;
  }
  if (finding.hits > 0)
    finding.density = 1000 * finding.weight /
                      static_cast<double>(std::max<std::uint64_t>(1, count_characters(text)));
  return finding;
}

namespace {

/// How the dictionary's and the classifiers' scores become one.
enum class Combination : std::uint8_t { kMean, kMax, kCascade };

struct WeighedClassifier {
  std::unique_ptr<HarmClassifier> classifier;
  double weight;
};

class HarmfulStage final : public DocumentStage {
 public:
  explicit HarmfulStage(JsonReader& reader)
      : max_density_(at_least_zero(reader, "max_density", 10)),
        min_hits_(reader.get<std::uint64_t>("min_hits", 2)),
        dictionary_weight_(at_least_zero(reader, "dictionary_weight", 1)),
        max_score_(at_least_zero(reader, "max_score", 0.5)) {
    if (max_density_ == 0) fail("{} must be above 0", reader.place("max_density"));
    const std::string combine = reader.get("combine", "mean");
    if (combine == "mean") {
      combination_ = Combination::kMean;
    } else if (combine == "max") {
      combination_ = Combination::kMax;
    } else if (combine == "cascade") {
      combination_ = Combination::kCascade;
    } else {
      fail("{} must be \"mean\", \"max\" or \"cascade\", not {}", reader.place("combine"),
           quote(combine));
    }
    read_dictionary(reader);
    read_classifiers(reader);
    if (!dictionary_ && classifiers_.empty())
      fail("{}: the stage needs a dictionary or a classifier", reader.place("dictionary"));
    if (combination_ == Combination::kCascade && (!dictionary_ || classifiers_.empty()))
      fail("{}: a cascade needs a dictionary and a classifier", reader.place("combine"));
  }

  std::string_view name() const override { return "harmful"; }

  std::optional<Drop> apply(Document& document) const override {
    DictionaryFinding finding;
    if (dictionary_) finding = dictionary_->find(document.text);
    // 0.5 at the greatest density allowed.
    const double density = finding.hits >= min_hits_ ? finding.density : 0;
    const double dictionary_score = density / (density + max_density_);
    if (dictionary_) document.scores["harm_dictionary"] = dictionary_score;

    double sum = 0, weights = 0, most = 0;
    const bool ask = combination_ != Combination::kCascade || dictionary_score > 0;
    if (ask) {
      for (const WeighedClassifier& each : classifiers_) {
        const double score = each.classifier->score(document.text);
        document.scores[fmt::format("harm_{}", each.classifier->name())] = score;
        sum += each.weight * score;
        weights += each.weight;
        most = std::max(most, score);
      }
    }
    double harm = 0;
    switch (combination_) {
      case Combination::kMean:
        if (dictionary_) {
          sum += dictionary_weight_ * dictionary_score;
          weights += dictionary_weight_;
        }
        harm = weights > 0 ? sum / weights : 0;
        break;
      case Combination::kMax:
        harm = std::max(most, dictionary_ ? dictionary_score : 0);
        break;
      case Combination::kCascade:
        // The dictionary asks, the classifiers answer.
        harm = weights > 0 ? sum / weights : 0;
        break;
    }
    document.scores["harm"] = harm;
    if (harm <= max_score_) return std::nullopt;
    return Drop{classifiers_.empty() ? "harmful.dictionary" : "harmful.score", harm, max_score_,
                describe(finding)};
  }

 private:
  static double at_least_zero(JsonReader& reader, std::string_view key, double fallback) {
    const double value = reader.get<double>(key, fallback);
    if (!(value >= 0)) fail("{} must be at least 0", reader.place(key));
    return value;
  }

  /// `[[stage.dictionary]]`, tables with "path", "category" and "weight"; `[stage.categories]`
  /// gives every word of a category another weight.
  void read_dictionary(JsonReader& reader) {
    std::vector<ListedWord> words;
    if (reader.has("dictionary")) {
      for (JsonReader& entry : reader.objects("dictionary")) {
        const std::filesystem::path path = expand_home(entry.get<std::string>("path"));
        const std::string category = entry.get<std::string>("category", path.stem().string());
        const double weight = at_least_zero(entry, "weight", 1);
        entry.finish();
        auto more = read_word_list(path, category, weight);
        words.insert(words.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
      }
    }
    if (auto categories = reader.find_object("categories")) {
      for (const auto& item : categories->value().items()) {
        const double weight = at_least_zero(*categories, item.key(), 1);
        bool found = false;
        for (ListedWord& word : words) {
          if (word.category != item.key()) continue;
          word.weight = weight;
          found = true;
        }
        if (!found) fail("{}: no word has this category", categories->place(item.key()));
      }
      categories->finish();
    }
    if (!words.empty()) dictionary_.emplace(std::move(words));
  }

  void read_classifiers(JsonReader& reader) {
    if (!reader.has("classifier")) return;
    for (JsonReader& entry : reader.objects("classifier")) {
      WeighedClassifier each{make_harm_classifier(entry), at_least_zero(entry, "weight", 1)};
      entry.finish();
      classifiers_.push_back(std::move(each));
    }
    if (classifiers_.size() > 3)
      fail("{}: at most three classifiers, not {}", reader.place("classifier"),
           classifiers_.size());
  }

  static std::string describe(const DictionaryFinding& finding) {
    std::string out;
    for (const auto& [category, weight] : finding.categories)
      out += fmt::format("{}{} {:.1f}", out.empty() ? "" : ", ", category, weight);
    return out.empty() ? out : fmt::format("{}: {}", out, finding.examples);
  }

  const double max_density_;
  const std::uint64_t min_hits_;
  const double dictionary_weight_, max_score_;
  Combination combination_ = Combination::kMean;
  std::optional<HarmDictionary> dictionary_;
  std::vector<WeighedClassifier> classifiers_;
};

}  // namespace

std::unique_ptr<DocumentStage> make_harmful_stage(JsonReader& reader) {
  return std::make_unique<HarmfulStage>(reader);
}

}  // namespace tigerbot::data
