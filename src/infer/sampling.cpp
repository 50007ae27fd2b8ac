#include "infer/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/random.h"

namespace tigerbot {

namespace {

TokenId most_likely(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// The likelier first; among equals the lower id, so that the order never depends on the library.
bool likelier(const std::pair<float, TokenId>& a, const std::pair<float, TokenId>& b) {
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

}  // namespace

void SamplingOptions::check() const {
  const auto need = [](bool holds, const char* what) {
    if (!holds) fail("{}", what);
  };
  need(temperature >= 0 && std::isfinite(temperature), "--temperature must be 0 or more");
  need(top_k >= 0, "--top-k must be 0 (off) or more");
  need(top_p > 0 && top_p <= 1, "--top-p must be above 0 and at most 1");
  need(min_p >= 0 && min_p <= 1, "--min-p must be from 0 to 1");
  need(repetition_penalty > 0 && std::isfinite(repetition_penalty),
       "--repetition-penalty must be above 0 (1 is off)");
  need(std::abs(presence_penalty) <= 100, "--presence-penalty must be from -100 to 100");
  need(std::abs(frequency_penalty) <= 100, "--frequency-penalty must be from -100 to 100");
}

Sampler::Sampler(const SamplingOptions& options, std::span<const TokenId> prompt)
    : options_(options) {
  options_.check();
  if (options_.repetition_penalty != 1.0) {
    for (const TokenId id : prompt) ++prompt_[id];
  }
}

void Sampler::penalize(std::span<float> logits) const {
  const auto repeated = [&](TokenId id) {
    if (id < 0 || static_cast<std::size_t>(id) >= logits.size()) return;
    float& logit = logits[static_cast<std::size_t>(id)];
    const auto penalty = static_cast<float>(options_.repetition_penalty);
    logit = logit > 0 ? logit / penalty : logit * penalty;
  };
  if (options_.repetition_penalty != 1.0) {
    for (const auto& [id, count] : prompt_) repeated(id);
    for (const auto& [id, count] : answer_) {
      if (!prompt_.contains(id)) repeated(id);
    }
  }
  if (options_.presence_penalty == 0 && options_.frequency_penalty == 0) return;
  for (const auto& [id, count] : answer_) {
    logits[static_cast<std::size_t>(id)] -= static_cast<float>(
        options_.presence_penalty + options_.frequency_penalty * static_cast<double>(count));
  }
}

TokenId Sampler::draw(std::span<const float> logits) {
  const auto inverse = static_cast<float>(1.0 / options_.temperature);
  candidates_.clear();
  const float highest = *std::max_element(logits.begin(), logits.end());
  if (!std::isfinite(highest)) fail_internal("the model's logits are not finite");
  // Tokens less likely than e^-30 of the best are below what a 24-bit uniform number can draw.
  constexpr float kNegligible = -30.0F;
  const float least_for_min_p =
      options_.min_p > 0 ? static_cast<float>(std::log(options_.min_p)) : kNegligible;
  const float least = std::max(kNegligible, least_for_min_p);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float score = (logits[i] - highest) * inverse;
    // min_p is applied after top-k and top-p, but what it drops is the least likely either way.
    if (score >= kNegligible) candidates_.emplace_back(score, static_cast<TokenId>(i));
  }
  const auto top_k = static_cast<std::size_t>(options_.top_k);
  if (top_k > 0 && top_k < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(top_k),
                     candidates_.end(), likelier);
    candidates_.resize(top_k);
  }
  std::sort(candidates_.begin(), candidates_.end(), likelier);
  double total = 0;
  for (auto& [score, id] : candidates_) total += std::exp(static_cast<double>(score));
  double kept = 0;
  std::size_t count = 0;
  for (const auto& [score, id] : candidates_) {
    if (count > 0 && (kept >= options_.top_p * total || score < least)) break;
    kept += std::exp(static_cast<double>(score));
    ++count;
  }
  double rest = random_uniform_double({options_.seed, options_.stream, drawn_}) * kept;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    rest -= std::exp(static_cast<double>(candidates_[i].first));
    if (rest < 0) return candidates_[i].second;
  }
  return candidates_[count - 1].second;
}

TokenId Sampler::sample(std::span<float> logits) {
  if (logits.empty()) fail_internal("sampling needs logits");
  penalize(logits);
  const TokenId id = options_.temperature == 0 ? most_likely(logits) : draw(logits);
  ++drawn_;
  ++answer_[id];
  return id;
}

}  // namespace tigerbot
