#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"

namespace tigerbot::data {

/// One opinion on how harmful a text is. Immutable and safe for many threads.
class HarmClassifier {
 public:
  virtual ~HarmClassifier() = default;
  virtual std::string_view name() const = 0;
  /// 0 (harmless) to 1 (harmful).
  virtual double score(std::string_view text) const = 0;
};

/// The classifier of a recipe's `[[stage.classifier]]`; an Error names unknown kinds and keys.
/// Reads "kind", "name" and the keys of the kind; the caller reads the others and calls finish().
/// Kinds: "fasttext" with "model" and "label" ("harmful").
std::unique_ptr<HarmClassifier> make_harm_classifier(JsonReader& reader);

}  // namespace tigerbot::data
