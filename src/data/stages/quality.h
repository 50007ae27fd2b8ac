#pragma once

#include <memory>

#include "data/stage.h"

namespace tigerbot::data {

/// `kind = "quality"`: a trained model's opinion. Keys and reason codes: docs/data-stages.md.
std::unique_ptr<DocumentStage> make_quality_stage(JsonReader& reader);

}  // namespace tigerbot::data
