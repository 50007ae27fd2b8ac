#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "train/objective.h"
#include "train/sft_template.h"

namespace tigerbot::train {

/// A file of SFT rows.
struct SftSource {
  std::string name;
  std::filesystem::path path;
  std::int64_t repeat = 1;    ///< how often each row comes in an epoch
  std::int64_t max_rows = 0;  ///< the first rows only; 0: all
};

struct SftOptions {
  /// How examples share a sequence of the model's input.
  enum class Batching {
    kGrouped,   ///< first-fit decreasing into sequence_length tokens, attention kept apart
    kOneByOne,  ///< each example alone, at its own length
    kPadded,    ///< each example alone, padded to sequence_length: how others measure
  };
  enum class TooLong { kCut, kDrop };
  enum class Average {
    kToken,    ///< every label of a step counts the same
    kExample,  ///< every example of a step counts the same
  };

  std::int64_t sequence_length = 2048;
  std::int64_t micro_batch_sequences = 1;     ///< groups (or padded rows) that run together
  std::int64_t global_batch_tokens = 131072;  ///< capacity of a step's groups
  std::int64_t epochs = 2;
  Batching batching = Batching::kGrouped;
  TooLong too_long = TooLong::kCut;
  Average average = Average::kToken;
  std::uint64_t seed = 0;
  TokenId padding = 0;
  /// This rank's part of every step.
  int rank = 0;
  int ranks = 1;
};

/// What became of a set's rows.
struct SftCounts {
  std::int64_t rows = 0;
  std::int64_t cut = 0;      ///< longer than sequence_length, shortened
  std::int64_t dropped = 0;  ///< too long, or with no answer left once cut
};

/// All examples of the sources, encoded. An empty set is an Error.
std::vector<SftExample> read_sft_examples(const std::vector<SftSource>& sources,
                                          const SftTemplate& chat_template,
                                          const Tokenizer& tokenizer, const SftOptions& options,
                                          std::vector<SftCounts>& counts);

/// Fine-tuning on conversations, with loss on the answers alone.
class SftObjective : public Objective {
 public:
  SftObjective(std::vector<SftExample> examples, std::vector<std::string> source_names,
               const SftOptions& options, Json manifest = Json::object());

  std::string_view name() const override { return "sft"; }
  StepBatch next_step() override;
  BatchLoss loss(Decoder& model, const MicroBatch& batch) override {
    return language_model_loss(model, batch);
  }
  std::int64_t steps() const override { return steps_; }
  Json position() const override;
  void seek(const Json& position) override;
  const std::vector<std::string>& sources() const override { return source_names_; }
  Json manifest() const override { return manifest_; }

 private:
  using Groups = std::vector<std::vector<std::int64_t>>;

  Groups groups_of_epoch(std::int64_t epoch) const;
  std::int64_t steps_of(const Groups& groups) const;
  MicroBatch micro_batch(std::size_t first_group, std::size_t last_group, double labels,
                         double examples) const;
  std::int64_t label_count(std::int64_t example) const;

  std::vector<SftExample> examples_;
  std::vector<std::string> source_names_;
  std::string fingerprint_;  // of the examples
  SftOptions options_;
  Json manifest_;
  std::int64_t steps_ = 0;
  std::int64_t epoch_ = 0;
  std::size_t next_group_ = 0;
  Groups groups_;  // of epoch_
};

}  // namespace tigerbot::train
