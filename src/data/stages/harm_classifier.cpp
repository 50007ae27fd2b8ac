#include "data/stages/harm_classifier.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "data/stages/text_classifier.h"

namespace tigerbot::data {
namespace {

class FastTextHarm final : public HarmClassifier {
 public:
  explicit FastTextHarm(JsonReader& reader)
      : classifier_(expand_home(reader.get<std::string>("model"))),
        label_(reader.get("label", "harmful")),
        name_(reader.get("name", "fasttext")) {
    const auto& labels = classifier_.labels();
    if (std::find(labels.begin(), labels.end(), label_) == labels.end())
      fail("{}: the model has no label {}{}", reader.place("label"), quote(label_),
           did_you_mean(label_, labels));
  }

  std::string_view name() const override { return name_; }
  double score(std::string_view text) const override {
    return classifier_.probability(text, label_);
  }

 private:
  const TextClassifier classifier_;
  const std::string label_, name_;
};

}  // namespace

std::unique_ptr<HarmClassifier> make_harm_classifier(JsonReader& reader) {
  const auto kind = reader.get<std::string>("kind");
  if (kind == "fasttext") return std::make_unique<FastTextHarm>(reader);
  fail("{}: there is no classifier {}{}; there is \"fasttext\"", reader.place("kind"), quote(kind),
       did_you_mean(kind, std::vector<std::string>{"fasttext"}));
}

}  // namespace tigerbot::data
