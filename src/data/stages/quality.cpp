#include "data/stages/quality.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "data/stages/text_classifier.h"

namespace tigerbot::data {
namespace {

double probability_of(const Json& value, const std::string& place) {
  if (!value.is_number() || value.get<double>() < 0 || value.get<double>() > 1)
    fail("{} must be a number between 0 and 1", place);
  return value.get<double>();
}

class QualityStage final : public DocumentStage {
 public:
  explicit QualityStage(JsonReader& reader)
      : classifier_(expand_home(reader.get<std::string>("model"))),
        label_(reader.get("label", "good")),
        min_score_(
            probability_of(reader.get<Json>("min_score", Json(0.5)), reader.place("min_score"))) {
    const auto& labels = classifier_.labels();
    if (std::find(labels.begin(), labels.end(), label_) == labels.end())
      fail("{}: the model has no label {}{}", reader.place("label"), quote(label_),
           did_you_mean(label_, labels));
    if (auto languages = reader.find_object("languages")) {
      for (const auto& item : languages->value().items())
        languages_[item.key()] =
            probability_of(languages->get<Json>(item.key()), languages->place(item.key()));
      languages->finish();
    }
  }

  std::string_view name() const override { return "quality"; }

  std::optional<Drop> apply(Document& document) const override {
    const double score = classifier_.probability(document.text, label_);
    document.scores["quality"] = score;
    const auto own = languages_.find(document.language);
    const double threshold = own == languages_.end() ? min_score_ : own->second;
    if (score >= threshold) return std::nullopt;
    return Drop{"quality.low", score, threshold, ""};
  }

 private:
  const TextClassifier classifier_;
  const std::string label_;
  const double min_score_;
  std::map<std::string, double, std::less<>> languages_;
};

}  // namespace

std::unique_ptr<DocumentStage> make_quality_stage(JsonReader& reader) {
  return std::make_unique<QualityStage>(reader);
}

}  // namespace tigerbot::data
