#include "infer/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/random.h"

namespace tigerbot {
namespace {

/// Rules out what the mask does not allow.
void apply(const TokenMask& mask, std::span<float> logits) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  const std::span<const std::uint32_t> words = mask.words();
  for (std::size_t i = 0; i < logits.size(); i += 32) {
    const std::uint32_t word = i / 32 < words.size() ? words[i / 32] : 0;
    const std::size_t end = std::min(logits.size(), i + 32);
    if (word == 0) {
      std::fill(logits.begin() + static_cast<std::ptrdiff_t>(i),
                logits.begin() + static_cast<std::ptrdiff_t>(end), kLowest);
    } else if (word != ~std::uint32_t{0}) {
      for (std::size_t t = i; t < end; ++t) {
        if ((word >> (t - i) & 1U) == 0) logits[t] = kLowest;
      }
    }
  }
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
  for (const auto& [id, bias] : logit_bias) {
    need(std::abs(bias) <= 100, "logit_bias must be from -100 to 100");
  }
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
  for (const auto& [id, bias] : options_.logit_bias) {
    if (id < 0 || static_cast<std::size_t>(id) >= logits.size()) continue;
    float& logit = logits[static_cast<std::size_t>(id)];
    logit = bias <= -100 ? -std::numeric_limits<float>::infinity() : logit + bias;
  }
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

TokenId Sampler::draw(const LogitRow& row) const {
  const auto inverse = static_cast<float>(1.0 / options_.temperature);
  const double uniform = random_uniform_double({options_.seed, options_.stream, drawn_});
  const auto top_k = static_cast<std::size_t>(options_.top_k);
  if (top_k == 0 && options_.top_p == 1 && options_.min_p == 0) {
    return draw_any(row.weights(inverse), uniform);
  }
  // Candidates in order, and the weight of all that top-p looks at.
  std::vector<ScoredToken> candidates;
  const auto weight = [&](const ScoredToken& token) {
    return std::exp(static_cast<double>((token.first - row.highest()) * inverse));
  };
  double total = 0;
  if (top_k > 0) {
    candidates = row.top(top_k);
    for (const ScoredToken& token : candidates) total += weight(token);
  } else {
    if (options_.top_p < 1) total = ordered_sum(row.weights(inverse));
    candidates = likeliest_share(row, inverse, options_.top_p * total);
  }
  // Tokens less likely than e^-30 of the best are below what a uniform number can draw.
  const double least = std::max(options_.min_p, std::exp(-30.0));
  double kept = 0;
  std::size_t count = 0;
  for (const ScoredToken& token : candidates) {
    const double one = weight(token);
    if (count > 0 && ((options_.top_p < 1 && kept >= options_.top_p * total) || one < least)) break;
    kept += one;
    ++count;
  }
  double rest = uniform * kept;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    rest -= weight(candidates[i]);
    if (rest < 0) return candidates[i].second;
  }
  return candidates[count - 1].second;
}

/// The likeliest tokens in order, at least so many that their weights reach `share` or no other is
/// as likely as min_p asks.
std::vector<ScoredToken> Sampler::likeliest_share(const LogitRow& row, float inverse,
                                                  double share) const {
  const double floor = options_.min_p > 0 ? std::max(std::log(options_.min_p), -30.0) : -30.0;
  for (double cut = options_.top_p < 1 ? -4.0 : floor;; cut *= 2) {
    cut = std::max(cut, floor);
    // A little lower than it says, for what rounding does; the caller draws the line.
    const double least = static_cast<double>(row.highest()) + (cut - 1e-3) * options_.temperature;
    std::vector<ScoredToken> found = row.at_least(static_cast<float>(least));
    double sum = 0;
    for (const ScoredToken& token : found) {
      sum += std::exp(static_cast<double>((token.first - row.highest()) * inverse));
    }
    if (sum < share && cut > floor) continue;
    std::sort(found.begin(), found.end(), likelier);
    return found;
  }
}

/// A token in proportion to the weights, in the order of ids.
TokenId Sampler::draw_any(std::span<const float> weights, double uniform) {
  constexpr std::size_t kPart = 512;
  std::vector<double> parts;
  double total = 0;
  for (std::size_t i = 0; i < weights.size(); i += kPart) {
    parts.push_back(ordered_sum(weights.subspan(i, std::min(kPart, weights.size() - i))));
    total += parts.back();
  }
  double rest = uniform * total;
  std::size_t part = 0;
  while (part + 1 < parts.size() && rest >= parts[part]) rest -= parts[part++];
  std::size_t likely = part * kPart;  // the last one that can be drawn at all
  for (std::size_t i = part * kPart; i < std::min(weights.size(), (part + 1) * kPart); ++i) {
    if (weights[i] > 0) likely = i;
    rest -= weights[i];
    if (rest < 0) break;
  }
  return static_cast<TokenId>(likely);
}

TokenId Sampler::sample(std::span<float> logits, const TokenMask* mask) {
  if (logits.empty()) fail_internal("sampling needs logits");
  penalize(logits);
  if (mask != nullptr) apply(*mask, logits);
  const LogitRow row(logits);
  if (!std::isfinite(row.highest())) {
    fail_internal("{}", mask != nullptr && row.highest() < 0 ? "no token is allowed here"
                                                             : "the model's logits are not finite");
  }
  const TokenId id = options_.temperature == 0 ? row.most_likely() : draw(row);
  ++drawn_;
  ++answer_[id];
  return id;
}

TokenLogprobs token_logprobs(std::span<const float> logits, TokenId token, std::int64_t top) {
  const LogitRow row(logits);
  const double all = row.highest() + std::log(ordered_sum(row.weights(1.0F)));
  TokenLogprobs result;
  result.token = token;
  const auto logprob = [&](float logit) {
    return static_cast<float>(static_cast<double>(logit) - all);
  };
  result.logprob = logprob(logits[static_cast<std::size_t>(token)]);
  for (const ScoredToken& one : row.top(static_cast<std::size_t>(top))) {
    result.top.emplace_back(one.second, logprob(one.first));
  }
  return result;
}

}  // namespace tigerbot
