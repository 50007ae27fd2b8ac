#pragma once

#include <memory>

#include "data/stage.h"

namespace tigerbot::data {

/// `kind = "normalize"`: Unicode repair and normalization. Keys and reason codes:
/// docs/data-stages.md.
std::unique_ptr<DocumentStage> make_normalize_stage(JsonReader& reader);

}  // namespace tigerbot::data
