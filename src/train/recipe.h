#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/shards/shard_reader.h"
#include "train/lora.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/sft.h"

/// The recipe of a training run: a TOML file that says which model learns what from which data, and
/// how. Strict: a key that nobody knows is an Error with the nearest right name. docs/training.md
/// explains every key.
namespace tigerbot::train {

struct ModelSettings {
  std::string path;                  ///< a Hugging Face directory, a .gguf file or a pulled name
  std::filesystem::path config;      ///< in place of `path`: start from scratch in this shape
  std::filesystem::path tokenizer;   ///< with `config`: the directory whose tokenizer is used
  double initializer_range = 0.02;   ///< with `config`: standard deviation of the first weights
  std::string dtype = "bfloat16";    ///< or "float32"
  std::optional<double> rope_theta;  ///< changed from the model's own
  std::optional<std::int64_t> max_position_embeddings;
  std::vector<std::string> trainable = {"all"};
};

struct DataSource {
  std::string name;
  std::filesystem::path path;
  std::int64_t repeat = 1;
  std::int64_t max_rows = 0;
  std::optional<double> weight;  ///< pretrain: share of the tokens, in proportion
};

struct DataSettings {
  std::string objective;  ///< "pretrain" or "sft"
  std::vector<DataSource> sources;
  std::int64_t sequence_length = 2048;
  std::int64_t epochs = 1;
  // sft
  std::string chat_template = "model";  ///< "model", "chatml", "tigerbot", or a file of Jinja
  SftOptions::Batching batching = SftOptions::Batching::kGrouped;
  SftOptions::TooLong too_long = SftOptions::TooLong::kCut;
  SftOptions::Average average = SftOptions::Average::kToken;
  // pretrain
  data::Shuffle shuffle = data::Shuffle::kDocuments;
  data::Packing packing = data::Packing::kSplit;
  std::vector<DataSource> instructions;  ///< rows written as {instruction}\n{response}
  double instruction_share = 0;          ///< of the tokens: the report's 2 to 5%
};

struct TrainSettings {
  std::int64_t steps = 0;  ///< 0: as many as the epochs make
  std::int64_t global_batch_tokens = 131072;
  std::int64_t micro_batch_sequences = 1;
  ActivationCheckpointing activation_checkpointing = ActivationCheckpointing::kNone;
  std::uint64_t seed = 0;
  OptimizerOptions optimizer;
  ScheduleKind schedule = ScheduleKind::kCosine;
  double learning_rate = 2e-4;
  double final_learning_rate = 2e-5;
  std::optional<std::int64_t> warmup_steps;
  double warmup_share = 0.01;    ///< of all steps, where warmup_steps says nothing
  double decay_share = 0.1;      ///< wsd
  double explosion_factor = 10;  ///< a gradient this many times the usual one is skipped; 0: none
  std::int64_t max_skipped_in_a_row = 5;  ///< more end the run
};

struct CheckpointSettings {
  std::int64_t every_steps = 500;
  std::int64_t keep_last = 3;
  bool background = true;
};

struct ValidationSet {
  std::string name;
  std::string kind;  ///< "sft", "text", "next_token", "shards"
  std::filesystem::path path;
  std::string language;
  std::int64_t max_rows = 0;
};

struct ValidationSettings {
  std::int64_t every_steps = 500;
  std::vector<ValidationSet> sets;
};

struct SampleSettings {
  std::vector<std::string> prompts;  ///< answered at every checkpoint
  std::int64_t max_new_tokens = 64;
  bool raw = false;  ///< text to go on from, not a user's message
};

struct Recipe {
  std::filesystem::path path;
  std::string name;
  std::filesystem::path output;
  ModelSettings model;
  std::optional<LoraOptions> lora;
  std::string lora_adapter;  ///< PEFT's directory to go on from
  bool lora_merge = false;   ///< export a merged model beside the adapter
  DataSettings data;
  TrainSettings train;
  CheckpointSettings checkpoint;
  ValidationSettings validation;
  SampleSettings samples;
  std::int64_t log_every_steps = 1;
  Json table;        ///< as it stands in the file
  std::string text;  ///< the file itself
};

/// Whether the files that a recipe names must be there, or may be made later.
enum class Files { kMustExist, kMayBeMissing };

/// Reads and checks a recipe.
Recipe read_recipe(const std::filesystem::path& path, Files files = Files::kMustExist);

}  // namespace tigerbot::train
