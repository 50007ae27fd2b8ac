#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/decoder.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot::train {

/// Token sequences that go through the model together.
struct MicroBatch {
  std::vector<TokenId> ids;          ///< of all sequences, one after another
  std::vector<std::int64_t> labels;  ///< what each token should be followed by; -100: no matter
  std::vector<float> weights;  ///< how much each label counts; over a whole step they sum to 1
  std::vector<std::int64_t> lengths;  ///< of the sequences; attention never crosses them
  std::vector<int> sources;           ///< of each sequence: an index into Objective::sources()
};

/// What one update of the weights is made of.
struct StepBatch {
  std::vector<MicroBatch> micro_batches;
  std::int64_t tokens = 0;    ///< that go through the model
  std::int64_t labels = 0;    ///< that count in the loss
  std::int64_t examples = 0;  ///< rows of a fine-tuning set, sequences of pretraining

  bool empty() const { return micro_batches.empty(); }
};

/// The loss of a micro-batch.
struct BatchLoss {
  at::Tensor loss;          ///< sum of weights * losses, differentiable
  at::Tensor token_losses;  ///< float32 [tokens], 0 where nothing counts
  at::Tensor correct;       ///< bool [tokens]
};

/// What a run learns from: its data, in order, and the loss on them.
class Objective {
 public:
  virtual ~Objective() = default;

  /// "pretrain", "sft".
  virtual std::string_view name() const = 0;

  /// The next step's data; empty when there are none left. With several ranks each gets its own
  /// micro-batches, and the weights sum to 1 over all of them.
  virtual StepBatch next_step() = 0;

  /// The loss of one micro-batch of this objective.
  virtual BatchLoss loss(Decoder& model, const MicroBatch& batch) = 0;

  /// Steps that all of the data make, epochs counted.
  virtual std::int64_t steps() const = 0;

  /// Where next_step() stands, for the checkpoint, and going there again: the steps that follow are
  /// the same to the bit.
  virtual Json position() const = 0;
  virtual void seek(const Json& position) = 0;

  /// The names of the sources that MicroBatch::sources counts.
  virtual const std::vector<std::string>& sources() const = 0;

  /// The data for people and reports: files, rows, tokens, what was cut or dropped.
  virtual Json manifest() const = 0;
};

/// Mean next-token loss: what pretraining and fine-tuning share.
BatchLoss language_model_loss(Decoder& model, const MicroBatch& batch);

}  // namespace tigerbot::train
