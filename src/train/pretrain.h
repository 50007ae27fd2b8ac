#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/shards/shard_reader.h"
#include "parallel/communicator.h"
#include "train/objective.h"

namespace tigerbot::train {

/// Documents in memory as one endless stream of tokens: every epoch in a new order, cut into
/// sequences of equal length. Any sequence can be had without those before it.
class DocumentStream {
 public:
  /// An empty list, or documents without a token, are an Error.
  DocumentStream(std::vector<std::vector<TokenId>> documents, std::int64_t sequence_length,
                 std::uint64_t seed);

  /// Sequence number `index`, its pieces of documents apart, with the source `source`.
  void append_sequence(std::uint64_t index, int source, MicroBatch& batch);

  std::int64_t tokens() const { return tokens_; }

 private:
  void go_to_epoch(std::uint64_t epoch);

  std::vector<std::vector<TokenId>> documents_;
  std::int64_t sequence_length_;
  std::uint64_t seed_;
  std::int64_t tokens_ = 0;
  std::uint64_t epoch_ = ~std::uint64_t{0};
  std::vector<std::int64_t> order_;   // of epoch_
  std::vector<std::int64_t> starts_;  // of each document in that order, in tokens
};

struct PretrainOptions {
  data::ShardReaderOptions reader;
  std::int64_t global_batch_tokens = 4194304;
  std::int64_t micro_batch_sequences = 1;
  std::int64_t epochs = 1;
  double instruction_share = 0;  ///< of the sequences
};

/// Next-token prediction on packed shards. Holistic training (the report, section 4): a share of
/// the sequences comes from instruction rows, written `{instruction}\n{response}`.
class PretrainObjective : public Objective {
 public:
  /// `instructions` are the rows' tokens, none where the share is 0. `group` are the ranks that
  /// share every step.
  PretrainObjective(const PretrainOptions& options, std::vector<std::vector<TokenId>> instructions,
                    Communicator& group, Json manifest = Json::object());

  std::string_view name() const override { return "pretrain"; }
  StepBatch next_step() override;
  BatchLoss loss(Decoder& model, const MicroBatch& batch) override {
    return language_model_loss(model, batch);
  }
  std::int64_t steps() const override;
  Json position() const override;
  void seek(const Json& position) override;
  const std::vector<std::string>& sources() const override { return source_names_; }
  Json manifest() const override;

 private:
  void append_sequence(MicroBatch& batch);

  PretrainOptions options_;
  Communicator& group_;
  data::ShardReader reader_;
  std::unique_ptr<DocumentStream> instructions_;
  std::vector<std::string> source_names_;
  Json manifest_;
  std::uint64_t sequences_ = 0;  // that this rank has taken
};

/// The text of an instruction row in pretraining, its questions and answers line by line:
/// `{instruction}\n{response}`.
std::string instruction_text(const nlohmann::ordered_json& messages);

}  // namespace tigerbot::train
