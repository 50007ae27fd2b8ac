#pragma once

#include <ATen/core/Tensor.h>

#include <CLI/App.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "infer/engine.h"
#include "infer/language_model.h"

namespace tigerbot {

/// MODEL, --device, --dtype and --threads: the same words in every command.
struct ModelOptions {
  std::string model;
  std::string device = "cpu";
  std::string dtype = "auto";
  int threads = 0;

  void add(CLI::App& command);
  /// Sets the number of threads and finds the model, fetching a known one that is not here yet.
  std::filesystem::path prepare() const;
  at::Device parsed_device() const;
  std::optional<at::ScalarType> parsed_dtype() const;
};

/// --temperature, --top-k and so on. What is not given is the model's own default.
struct SamplingFlags {
  std::optional<double> temperature, top_p, min_p;
  std::optional<double> repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<std::int64_t> top_k;
  std::uint64_t seed = 0;
  std::int64_t max_new_tokens = 512;
  std::vector<std::string> stop;

  void add(CLI::App& command);
  GenerationRequest request(const LanguageModel& model) const;
};

/// --kv-cache-dtype, --rope-scaling and --rope-factor, as `tigerbot serve` has them.
struct EngineFlags {
  std::string kv_cache_dtype = "auto";
  std::string rope_scaling = "none";
  double rope_factor = 8;

  void add(CLI::App& command);
  EngineOptions options() const;
};

/// One JSON object on stdout, the form of every report with --json.
void print_json(const nlohmann::ordered_json& object);

}  // namespace tigerbot
