#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "infer/request.h"
#include "serve/api/fields.h"

namespace tigerbot::serve {

/// What a model lets its requests ask for.
struct ModelLimits {
  std::int64_t vocab_size = 0;
  std::int64_t context_length = 0;   ///< 0: no limit
  std::int64_t max_new_tokens = 0;   ///< of one answer; 0: what the context holds
  std::int64_t max_choices = 64;     ///< n
  SamplingOptions default_sampling;  ///< where a request says nothing
  std::vector<std::int64_t> stop_token_ids;
};

/// What chat and text completions share.
struct GenerationFields {
  GenerationRequest request;  ///< all but the prompt
  bool stream = false;
  bool include_usage = false;  ///< a last chunk with the usage
  bool max_new_tokens_given = false;
};

/// Reads the parameters that both kinds of completion have in the same form; a value out of range
/// is an ApiError. Not read: logprobs, and the limit on tokens.
GenerationFields read_generation_fields(Fields& fields, const ModelLimits& limits);

/// A limit on new tokens under this name; nothing where it is not given.
std::optional<std::int64_t> read_token_limit(Fields& fields, std::string_view name);

/// An ApiError where the prompt leaves no room; fills in the limit on new tokens where none is
/// given: `fallback`, or with 0 what the context holds.
void fit_to_context(GenerationFields& fields, const ModelLimits& limits, std::int64_t fallback,
                    const std::string& param);

}  // namespace tigerbot::serve
