#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "parallel/communicator.h"
#include "train/evaluation.h"
#include "train/objective.h"
#include "train/recipe.h"
#include "weights/model_files.h"

/// The parts of a run, made from its recipe.
namespace tigerbot::train {

/// The model's files with what the recipe changes in its configuration.
struct ModelParts {
  ModelFiles files;    ///< of the model, or (from scratch) of the tokenizer's directory
  ModelConfig config;  ///< as training runs it
  bool from_scratch = false;
  at::ScalarType dtype = at::kBFloat16;
  std::unique_ptr<Tokenizer> tokenizer;
  std::string tokenizer_hash;

  /// First weights: the files' or random ones.
  TensorSource source(const Recipe& recipe) const;

  /// The layers' weights as the files hold them, where adapters train on them; else null.
  QuantizedSource quantized(const Recipe& recipe) const;
};
ModelParts open_model_parts(const Recipe& recipe);

/// Weights for a start from scratch: matrices normal with this deviation, norms one, biases zero.
/// Each is a function of the seed and its name alone.
TensorSource random_weights(std::uint64_t seed, double deviation);

/// A decoder of this shape whose parameters have no memory: for counting and checking.
std::unique_ptr<Decoder> hollow_decoder(const ModelConfig& config);

/// Writes config.json, the tokenizer and so on: all of an export but the weights.
void write_export_companions(const ModelParts& parts, const std::filesystem::path& folder);

/// The chat template of fine-tuning.
SftTemplate make_sft_template(const Recipe& recipe, const ModelParts& parts);

std::unique_ptr<Objective> make_objective(const Recipe& recipe, const ModelParts& parts,
                                          Communicator& group);

/// A validation set, read.
struct LoadedValidation {
  std::string name, kind;
  std::vector<EvaluationRow> rows;
};
std::vector<LoadedValidation> load_validation(const Recipe& recipe, const ModelParts& parts);

}  // namespace tigerbot::train
