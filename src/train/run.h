#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/background_writer.h"
#include "train/checkpoint.h"
#include "train/cost.h"
#include "train/metrics.h"
#include "train/run_parts.h"
#include "train/step_guard.h"
#include "train/trainer.h"

namespace tigerbot::train {

/// A run on its way: what train() and plan_run() are made of.
class Run {
 public:
  /// Opens and reads everything but the weights.
  Run(const Recipe& recipe, Communicator& group);
  ~Run();

  Json plan();

  /// Loads the weights, or a checkpoint, and trains to the end.
  TrainResult run();

 private:
  void check_memory();
  void load_model();
  void resume();
  /// One step; false if its update was skipped.
  bool step(StepBatch& batch);
  void validate();
  void save(bool last);
  void sample();
  void write_report();
  void finish();
  void note(const std::string& what);

  RunShape make_shape() const;
  Schedule schedule() const;
  Json settings() const;
  Json state() const;
  std::filesystem::path checkpoints() const { return recipe_.output / "checkpoints"; }
  std::filesystem::path companions() const { return recipe_.output / "model-files"; }
  bool is_main() const { return group_.rank() == 0; }

  const Recipe& recipe_;
  Communicator& group_;
  ModelParts parts_;
  RunShape shape_;
  std::unique_ptr<Objective> objective_;
  std::vector<LoadedValidation> validation_;
  std::unique_ptr<Decoder> model_;
  std::unique_ptr<LoraAdapters> adapters_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Metrics> metrics_;
  StepGuard guard_;
  BackgroundWriter writer_;

  std::int64_t total_steps_ = 0;
  std::int64_t step_ = 0;
  std::int64_t tokens_ = 0;
  std::uint64_t micro_batches_ = 0;
  double loss_ = 0, gradient_norm_ = 0, rate_ = 0;
  Json loss_by_source_ = Json::object();
  std::optional<double> validation_loss_;
  std::int64_t validated_step_ = -1;
  std::int64_t saved_step_ = -1;
  double dense_peak_ = 0;
  std::optional<std::string> write_error_;
  std::filesystem::path exported_;
};

}  // namespace tigerbot::train
