#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/decoder.h"
#include "train/trained_parameters.h"

namespace tigerbot::train {

/// Low-rank adapters (Hu et al. 2022), in the words of PEFT's adapter_config.json.
struct LoraOptions {
  std::int64_t rank = 16;
  double alpha = 32;  ///< results are scaled by alpha / rank
  double dropout = 0;
  std::vector<std::string> target_modules = {"q_proj", "v_proj"};
  std::uint64_t seed = 0;
};

/// Adapters on the model's Linears whose names end in one of the target modules ("q_proj",
/// "self_attn.q_proj"); "all-linear" names every one. Everything else is frozen. A begins uniform
/// in +-1 / sqrt(in_features), B at zero, so that nothing changes at first.
class LoraAdapters {
 public:
  LoraAdapters(Decoder& model, const LoraOptions& options);

  /// The adapters that PEFT's directory holds (adapter_config.json, adapter_model.safetensors), on
  /// this model. What does not fit is an Error.
  static std::unique_ptr<LoraAdapters> load(Decoder& model, const std::filesystem::path& folder);

  const LoraOptions& options() const { return options_; }

  /// The matrices, named as PEFT names them.
  std::vector<TrainedParameter> parameters();

  /// What dropout counts by.
  DropoutClock& clock() { return *clock_; }

  /// Writes PEFT's directory. `base_model` is what adapter_config.json names.
  void save(const std::filesystem::path& folder, const std::string& base_model) const;

  /// Adds every adapter to its weight and takes it away.
  void merge(Decoder& model);

 private:
  struct Entry {
    Linear* linear;
    std::string name;  ///< "base_model.model.model.layers.0.self_attn.q_proj"
    std::shared_ptr<LowRankAdapter> adapter;
  };

  LoraOptions options_;
  std::shared_ptr<DropoutClock> clock_;
  std::vector<Entry> entries_;
};

/// PEFT's adapter_config.json of these options.
Json lora_config(const LoraOptions& options, const std::string& base_model);

}  // namespace tigerbot::train
