#include "train/run.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/text.h"
#include "train/export.h"
#include "train/stop_signal.h"

namespace tigerbot::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Run::Run(const Recipe& recipe, Communicator& group)
    : recipe_(recipe),
      group_(group),
      parts_(open_model_parts(recipe)),
      guard_(recipe.train.explosion_factor, recipe.train.max_skipped_in_a_row) {
  if (group.size() > 1) {
    fail("training runs on one rank; start it without mpirun, or with one process");
  }
  shape_ = make_shape();
  objective_ = make_objective(recipe, parts_, group);
  total_steps_ = recipe.train.steps > 0 ? recipe.train.steps : objective_->steps();
  validation_ = load_validation(recipe, parts_);
}

Run::~Run() = default;

Schedule Run::schedule() const {
  Schedule schedule;
  schedule.kind = recipe_.train.schedule;
  schedule.learning_rate = recipe_.train.learning_rate;
  schedule.final_learning_rate = recipe_.train.final_learning_rate;
  schedule.total_steps = total_steps_;
  schedule.warmup_steps = recipe_.train.warmup_steps.value_or(static_cast<std::int64_t>(
      std::ceil(recipe_.train.warmup_share * static_cast<double>(total_steps_))));
  schedule.decay_fraction = recipe_.train.decay_share;
  return schedule;
}

void Run::load_model() {
  const TensorSource source = parts_.source(recipe_);
  model_ = make_decoder(parts_.config, source, parts_.dtype, at::kCPU, parts_.quantized(recipe_));
  model_->set_activation_checkpointing(recipe_.train.activation_checkpointing);
  std::vector<TrainedParameter> trained;
  if (recipe_.lora) {
    adapters_ = recipe_.lora_adapter.empty()
                    ? std::make_unique<LoraAdapters>(*model_, *recipe_.lora)
                    : LoraAdapters::load(*model_, recipe_.lora_adapter);
    adapters_->clock().seed = recipe_.train.seed;
    trained = adapters_->parameters();
  } else {
    trained = choose_parameters(*model_, recipe_.model.trainable,
                                recipe_.path.string() + ": model.trainable");
  }
  optimizer_ = std::make_unique<Optimizer>(std::move(trained), recipe_.train.optimizer);
  if (recipe_.lora || parts_.dtype != at::kBFloat16) return;
  // Files in float32 know more of the masters than bfloat16 weights do.
  for (std::size_t i = 0; i < optimizer_->parameters().size(); ++i) {
    const TrainedParameter& parameter = optimizer_->parameters()[i];
    const at::Tensor whole = source(parameter.name, parameter.shape);
    if (whole.scalar_type() == at::kFloat) optimizer_->set_master(i, parameter.part(whole));
  }
}

bool Run::step(StepBatch& batch) {
  optimizer_->begin_step(static_cast<std::int64_t>(batch.micro_batches.size()));
  double loss = 0;
  const std::size_t sources = objective_->sources().size();
  std::vector<double> sums(sources, 0);
  std::vector<std::int64_t> counts(sources, 0);
  for (MicroBatch& micro : batch.micro_batches) {
    if (adapters_) {
      adapters_->clock().training = true;
      adapters_->clock().micro_batch = micro_batches_;
    }
    ++micro_batches_;
    const BatchLoss result = objective_->loss(*model_, micro);
    torch::autograd::backward({result.loss}, {});
    loss += result.loss.item<double>();
    const at::Tensor losses = result.token_losses.cpu();
    const float* values = losses.const_data_ptr<float>();
    std::size_t token = 0;
    for (std::size_t s = 0; s < micro.lengths.size(); ++s) {
      const auto source = static_cast<std::size_t>(micro.sources[s]);
      for (std::int64_t i = 0; i < micro.lengths[s]; ++i, ++token) {
        if (micro.labels[token] < 0) continue;
        sums[source] += values[token];
        ++counts[source];
      }
    }
    micro = {};
  }
  if (adapters_) adapters_->clock().training = false;
  ++step_;
  tokens_ += batch.tokens;
  loss_ = loss;
  gradient_norm_ = optimizer_->gradient_norm();
  rate_ = learning_rate(schedule(), step_);
  loss_by_source_ = Json::object();
  for (std::size_t s = 0; s < sources; ++s) {
    if (counts[s] > 0) {
      loss_by_source_[objective_->sources()[s]] = sums[s] / static_cast<double>(counts[s]);
    }
  }
  const StepGuard::Verdict verdict = guard_.judge(loss_, gradient_norm_);
  if (verdict == StepGuard::Verdict::kGood) {
    optimizer_->step(rate_, gradient_norm_);
    return true;
  }
  optimizer_->drop_gradients();
  note(verdict == StepGuard::Verdict::kNotFinite
           ? fmt::format("step skipped: loss {} and gradient {} are not both finite", loss_,
                         gradient_norm_)
           : fmt::format("step skipped: a gradient of {:.3g} is far longer than usual",
                         gradient_norm_));
  return false;
}

TrainResult Run::run() {
  check_memory();
  create_folders(recipe_.output);
  const FileLock lock(recipe_.output / ".lock");
  const auto final_folder = recipe_.output / (recipe_.lora ? "adapter" : "final");
  if (std::filesystem::exists(final_folder)) {
    fail("{}: the run is done: {} is there; choose another output folder", recipe_.path.string(),
         final_folder.string());
  }
  if (!std::filesystem::exists(companions())) {
    AtomicFolder folder(companions());
    write_export_companions(parts_, folder.path());
    folder.commit();
  }
  load_model();
  resume();
  dense_peak_ = measure_dense_peak(parts_.config, parts_.dtype);
  metrics_ = std::make_unique<Metrics>(recipe_.output, step_);
  const double operations = flops_per_token(parts_.config, shape_);
  if (step_ == 0) validate();

  const StopSignal stop;
  Progress progress("train", static_cast<std::uint64_t>(total_steps_), {.unit_name = "steps"});
  progress.set_done(static_cast<std::uint64_t>(step_));
  auto logged = Clock::now();
  std::int64_t logged_tokens = tokens_;
  while (step_ < total_steps_ && stop.received() == nullptr) {
    StepBatch batch = objective_->next_step();
    if (batch.empty()) break;
    const std::int64_t labels = batch.labels;
    const std::int64_t examples = batch.examples;
    const bool good = step(batch);
    if (guard_.too_many()) {
      if (auto error = writer_.wait()) write_error_ = error;
      write_report();
      const auto kept = list_checkpoints(checkpoints());
      fail_internal(
          "{} steps in a row had no usable gradient (loss {}, gradient norm {}); the last good "
          "checkpoint is {}",
          guard_.skipped_in_a_row(), loss_, gradient_norm_,
          kept.empty() ? "none" : kept.back().string());
    }
    const bool last = step_ == total_steps_;
    if (step_ % recipe_.log_every_steps == 0 || last) {
      const double seconds = seconds_since(logged);
      const double speed = static_cast<double>(tokens_ - logged_tokens) / std::max(seconds, 1e-9);
      logged = Clock::now();
      logged_tokens = tokens_;
      const double share = speed * operations / dense_peak_;
      const std::uint64_t memory = resident_memory();
      metrics_->add(step_, "train",
                    {{"tokens", tokens_},
                     {"labels", labels},
                     {"examples", examples},
                     {"loss", loss_},
                     {"learning_rate", rate_},
                     {"gradient_norm", gradient_norm_},
                     {"tokens_per_second", speed},
                     {"mfu", share},
                     {"memory_bytes", memory},
                     {"skipped_steps", guard_.skipped()},
                     {"loss_by_source", loss_by_source_}});
      progress.set_note(fmt::format(
          "{} tokens, loss {:.4f}, rate {:.3g}, gradient {:.3f}, {:.0f} tokens/s, MFU {:.0f}%, {}",
          format_count(static_cast<std::uint64_t>(tokens_)), loss_, rate_, gradient_norm_, speed,
          share * 100, format_bytes(memory)));
    }
    progress.set_done(static_cast<std::uint64_t>(step_));
    const bool validates = !validation_.empty() && step_ % recipe_.validation.every_steps == 0;
    if (validates) validate();
    if (good && step_ % recipe_.checkpoint.every_steps == 0 && !last) {
      sample();
      save(false);
      write_report();
    }
    if (auto error = writer_.poll()) write_error_ = error;
    if (write_error_) {
      note(
          fmt::format("a checkpoint could not be written: {}; older ones are whole, and training "
                      "goes on",
                      *write_error_));
      write_error_.reset();
    }
    // What came between two steps is not the steps' own time.
    if (validates || step_ % recipe_.checkpoint.every_steps == 0) logged = Clock::now();
  }
  progress.finish();
  const char* signal = stop.received();
  if (signal && step_ < total_steps_) {
    save(true);
    write_report();
    throw Error(fmt::format("stopped by {} after step {} of {}; the checkpoint is written, and the "
                            "same command goes on from it",
                            signal, step_, total_steps_),
                Error::Kind::kFailure);
  }
  finish();
  TrainResult result;
  result.steps = step_;
  result.tokens = tokens_;
  result.loss = loss_;
  result.skipped_steps = guard_.skipped();
  result.model = exported_;
  return result;
}

void Run::finish() {
  validate();
  sample();
  save(true);
  const auto checkpoint = checkpoints() / checkpoint_name(step_);
  if (recipe_.lora) {
    if (recipe_.lora_merge) export_checkpoint(checkpoint, recipe_.output / "final", true);
    exported_ = recipe_.output / "adapter";
  } else {
    exported_ = recipe_.output / "final";
  }
  export_checkpoint(checkpoint, exported_, false);
  write_report();
}

Json plan_run(const Recipe& recipe, Communicator& group) { return Run(recipe, group).plan(); }

TrainResult train(const Recipe& recipe, Communicator& group) { return Run(recipe, group).run(); }

}  // namespace tigerbot::train
