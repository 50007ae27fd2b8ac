#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "data/document.h"

namespace tigerbot::data {

/// Why a stage drops a document: a code of the form "stage.rule", the value that it measured and
/// the threshold that the value missed, and a detail for people (the phrase or n-gram found).
struct Drop {
  std::string reason;
  double value = 0;
  double threshold = 0;
  std::string detail;
};

/// A step that looks at one document alone: normalization, language, rules, quality, harm, overlap.
/// Immutable after construction and safe to use from many threads; the same document always gets
/// the same answer.
class DocumentStage {
 public:
  virtual ~DocumentStage() = default;
  /// The recipe's word for it: "normalize".
  virtual std::string_view name() const = 0;
  /// Edits the document in place (adding a reason code to `edits`), fills language and scores, or
  /// drops it.
  virtual std::optional<Drop> apply(Document& document) const = 0;
};

/// The stage of a recipe's entry `[[stage]]` with `kind = "normalize"` and so on; an Error names
/// unknown kinds and keys. `reader` is the entry; the stage reads every key that it knows, and
/// finish() is called here. Kinds that need all documents (exact and near duplicates, mixture) are
/// not made here: the pipeline has them.
std::unique_ptr<DocumentStage> make_document_stage(JsonReader& reader);

/// The kinds that make_document_stage() knows.
std::vector<std::string> document_stage_kinds();

}  // namespace tigerbot::data
