#pragma once

#include <memory>

#include "base/json.h"
#include "data/stage.h"

namespace tigerbot::data {

/// `kind = "overlap"`: documents that share long n-grams with evaluation sets or SFT rows are
/// dropped ("overlap.ngram") or cut (edit "overlap.cut"). Keys: docs/data-deduplication.md.
std::unique_ptr<DocumentStage> make_overlap_stage(JsonReader& reader);

}  // namespace tigerbot::data
