#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "infer/language_model.h"

namespace tigerbot {

struct BatchOptions {
  std::filesystem::path input;   ///< JSON lines with "prompt" or "messages"
  std::filesystem::path output;  ///< one line an answer, in the order of the input
  GenerationRequest request;     ///< what all of them share; the prompt is not used
  std::string system;            ///< put before a "prompt"; none if empty
  bool raw = false;              ///< a "prompt" is text to go on from, not a user's message
  EngineOptions engine;          ///< the cache's size is the input's business
};

struct BatchResult {
  std::int64_t requests = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t new_tokens = 0;
  double seconds = 0;
};

/// Answers every row of a file, many at a time. Row n draws from stream n of the seed, whatever the
/// others are. A row is `{"prompt": TEXT}` or `{"messages":
/// [...]}` and keeps its other fields; `text`, `finish_reason`, `prompt_tokens` and `new_tokens`
/// are added. A malformed row is an Error that names its line, before anything is generated.
BatchResult generate_batch(LanguageModel& model, const BatchOptions& options);

}  // namespace tigerbot
