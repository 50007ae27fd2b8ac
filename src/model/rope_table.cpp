#include "model/rope_table.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tigerbot {
namespace {

/// base^(2i / head_dim), float32 [head_dim / 2].
at::Tensor wave_numbers(double base, std::int64_t head_dim) {
  return at::pow(base, at::arange(0, head_dim, 2, at::kFloat) / static_cast<double>(head_dim));
}

RopeFrequencies dynamic_ntk(const ModelConfig& config, std::int64_t length) {
  const auto trained = static_cast<double>(config.max_position_embeddings);
  const double longest = std::max(static_cast<double>(length), trained);
  const double factor = config.rope_scaling.factor;
  const auto dim = static_cast<double>(config.head_dim);
  const double stretch = std::pow(factor * longest / trained - (factor - 1), dim / (dim - 2));
  return {1.0 / wave_numbers(config.rope_theta * stretch, config.head_dim)};
}

/// The pair that turns `rotations` times within the trained length.
double yarn_pair(const ModelConfig& config, double rotations) {
  const auto trained = static_cast<double>(config.rope_scaling.original_max_position_embeddings);
  return static_cast<double>(config.head_dim) *
         std::log(trained / (rotations * 2 * std::numbers::pi)) / (2 * std::log(config.rope_theta));
}

double yarn_attention_factor(const RopeScaling& scaling) {
  if (scaling.attention_factor) return *scaling.attention_factor;
  const auto temperature = [&](double mscale) {
    return scaling.factor <= 1 ? 1.0 : 0.1 * mscale * std::log(scaling.factor) + 1.0;
  };
  const double mscale = scaling.mscale.value_or(0);
  const double all = scaling.mscale_all_dim.value_or(0);
  return mscale != 0 && all != 0 ? temperature(mscale) / temperature(all) : temperature(1.0);
}

/// Fast pairs keep their frequency, slow ones are interpolated, with a ramp between.
RopeFrequencies yarn(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  double low = yarn_pair(config, scaling.beta_fast);
  double high = yarn_pair(config, scaling.beta_slow);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.head_dim - 1));
  if (low == high) high += 0.001;

  const at::Tensor waves = wave_numbers(config.rope_theta, config.head_dim);
  const at::Tensor ramp =
      ((at::arange(config.head_dim / 2, at::kFloat) - low) / (high - low)).clamp(0, 1);
  const at::Tensor keep = 1 - ramp;
  return {1.0 / (scaling.factor * waves) * (1 - keep) + 1.0 / waves * keep,
          yarn_attention_factor(scaling)};
}

/// Llama 3.1: wavelengths past the trained length are divided by the factor, short ones kept, with
/// a ramp between.
RopeFrequencies llama3(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto trained = static_cast<double>(scaling.original_max_position_embeddings);
  const double low = scaling.low_freq_factor;
  const double high = scaling.high_freq_factor;
  const at::Tensor inverse = 1.0 / wave_numbers(config.rope_theta, config.head_dim);
  const at::Tensor wavelength = 2 * std::numbers::pi / inverse;
  const at::Tensor smooth = (trained / wavelength - low) / (high - low);
  const at::Tensor between = (1 - smooth) * inverse / scaling.factor + smooth * inverse;
  const at::Tensor slow = at::where(wavelength > trained / low, inverse / scaling.factor, between);
  return {at::where(wavelength < trained / high, inverse, slow)};
}

ops::RopeAngles angles_at(const at::Tensor& positions, const RopeFrequencies& frequencies) {
  const at::Tensor angles =
      positions.to(at::kFloat).unsqueeze(1) * frequencies.inverse.to(positions.device());
  ops::RopeAngles out{angles.cos(), angles.sin()};
  if (frequencies.attention_factor != 1.0) {
    out.cos.mul_(frequencies.attention_factor);
    out.sin.mul_(frequencies.attention_factor);
  }
  return out;
}

}  // namespace

RopeFrequencies rope_frequencies(const ModelConfig& config, std::int64_t length) {
  switch (config.rope_scaling.kind) {
    case RopeScaling::Kind::kDynamic:
      return dynamic_ntk(config, length);
    case RopeScaling::Kind::kYarn:
      return yarn(config);
    case RopeScaling::Kind::kLlama3:
      return llama3(config);
    case RopeScaling::Kind::kLinear:
      return {1.0 / wave_numbers(config.rope_theta, config.head_dim) / config.rope_scaling.factor};
    case RopeScaling::Kind::kNone:
      break;
  }
  return {1.0 / wave_numbers(config.rope_theta, config.head_dim)};
}

RopeTable::RopeTable(const ModelConfig& config)
    : config_(config), trained_(rope_frequencies(config, 0)) {}

RopeFrequencies scaled_frequencies(const ModelConfig& config, const RotaryScale& scale) {
  if (scale.kind == RopeScaling::Kind::kNone) return rope_frequencies(config, scale.length);
  ModelConfig scaled = config;
  scaled.rope_scaling = RopeScaling();
  if (scale.length <= config.max_position_embeddings) return rope_frequencies(scaled, 0);
  scaled.rope_scaling.kind = scale.kind;
  scaled.rope_scaling.original_max_position_embeddings = config.max_position_embeddings;
  scaled.rope_scaling.factor =
      scale.kind == RopeScaling::Kind::kDynamic
          ? scale.factor
          : static_cast<double>(scale.length) / static_cast<double>(config.max_position_embeddings);
  return rope_frequencies(scaled, scale.length);
}

ops::RopeAngles RopeTable::angles(const Sequences& sequences,
                                  const std::vector<std::int64_t>& lengths) const {
  std::vector<RotaryScale> scales;
  scales.reserve(lengths.size());
  for (const std::int64_t length : lengths) {
    scales.push_back({RopeScaling::Kind::kNone, 1, length});
  }
  return angles(sequences, scales);
}

bool RopeTable::stretches(const RotaryScale& scale) const {
  return scale.length > config_.max_position_embeddings &&
         (scale.kind != RopeScaling::Kind::kNone ||
          config_.rope_scaling.kind == RopeScaling::Kind::kDynamic);
}

ops::RopeAngles RopeTable::angles(const Sequences& sequences,
                                  const std::vector<RotaryScale>& scales) const {
  if (std::none_of(scales.begin(), scales.end(),
                   [this](const RotaryScale& scale) { return stretches(scale); })) {
    return angles_at(sequences.positions, trained_);
  }
  std::vector<at::Tensor> cos, sin;
  for (std::int64_t i = 0; i < sequences.count(); ++i) {
    const at::Tensor positions =
        sequences.positions.slice(0, sequences.cu_seqlens[i], sequences.cu_seqlens[i + 1]);
    const RotaryScale& scale = scales[static_cast<std::size_t>(i)];
    const ops::RopeAngles part =
        angles_at(positions, stretches(scale) ? scaled_frequencies(config_, scale) : trained_);
    cos.push_back(part.cos);
    sin.push_back(part.sin);
  }
  return {at::cat(cos), at::cat(sin)};
}

}  // namespace tigerbot
