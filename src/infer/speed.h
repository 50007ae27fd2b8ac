#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/decoder.h"

namespace tigerbot {

/// Repeated measurements of one speed, in tokens per second.
struct SpeedSample {
  std::vector<double> tokens_per_second;

  double median() const;
  double least() const;
  double most() const;
};

/// What this machine's threads reach at best: the limits that a model's speed is held against.
struct MachineLimits {
  double read_bytes_per_second = 0;  ///< of memory, far beyond the caches
  double products_per_second = 0;    ///< operations of dense products in the model's type
};

MachineLimits measure_machine_limits(at::ScalarType dtype);

/// Prompts of `tokens` random tokens into an empty cache of this type (see KeyValueCache; nothing:
/// the model's own), `chunk` tokens a step, with the logits of the last: tokens/s of each
/// repetition. One more runs first, unmeasured.
SpeedSample measure_prefill(Decoder& decoder, std::int64_t tokens, std::int64_t chunk,
                            std::int64_t repetitions,
                            std::optional<at::ScalarType> cache_dtype = {});

/// `sequences` answers at a time, a token each a step, greedy, from an empty context to `tokens`
/// tokens each: tokens/s of all together.
SpeedSample measure_decode(Decoder& decoder, std::int64_t tokens, std::int64_t sequences,
                           std::int64_t repetitions,
                           std::optional<at::ScalarType> cache_dtype = {});

/// Operations of a prompt of `tokens` tokens: dense products, and attention's scores and sums.
double prefill_operations(const ModelConfig& config, std::int64_t tokens);

/// Bytes that a step of one token for each of `sequences` sequences has to read: the weights once,
/// and every sequence's keys and values at the mean length of an answer of `tokens` tokens.
double decode_bytes(Decoder& decoder, at::ScalarType dtype, at::ScalarType cache_dtype,
                    std::int64_t tokens, std::int64_t sequences);

}  // namespace tigerbot
