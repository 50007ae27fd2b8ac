#include "train/run.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <omp.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/logging.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/version.h"
#include "infer/engine.h"
#include "train/export.h"
#include "train/html_report.h"
#include "train/stop_signal.h"

namespace tigerbot::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The elements of a model of this shape, all and those of the layers' matrices.
struct Elements {
  std::int64_t all = 0, layers = 0;
};
Elements count_model(Decoder& model) {
  Elements elements;
  for (const Parameter& parameter : model.parameters()) {
    std::int64_t count = 1;
    for (const std::int64_t size : parameter.shape) count *= size;
    elements.all += count;
  }
  for (const Linear* linear : model.linears()) {
    elements.layers += linear->in_features() * linear->out_features();
  }
  return elements;
}

/// A decoder of this shape whose parameters have no memory: for counting.
std::unique_ptr<Decoder> hollow_decoder(const ModelConfig& config) {
  const TensorSource nothing = [](const std::string&, const std::vector<std::int64_t>& shape) {
    return at::empty(shape, at::TensorOptions(at::kBFloat16).device(at::kMeta));
  };
  return make_decoder(config, nothing, at::kBFloat16, at::kMeta);
}

/// The first key at which two objects differ, "train.learning_rate"; "" where they are equal.
std::string first_difference(const Json& a, const Json& b, const std::string& place = "") {
  if (!a.is_object() || !b.is_object()) return a == b ? "" : place;
  for (const Json* one : {&a, &b}) {
    for (const auto& [key, value] : one->items()) {
      const std::string path = place.empty() ? key : place + "." + key;
      if (!a.contains(key) || !b.contains(key)) return path;
      if (const std::string found = first_difference(a[key], b[key], path); !found.empty()) {
        return found;
      }
    }
  }
  return "";
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

/// The same checks as training makes, on a model without memory.
RunShape Run::make_shape() const {
  const std::unique_ptr<Decoder> hollow = hollow_decoder(parts_.config);
  const Elements elements = count_model(*hollow);
  RunShape shape;
  shape.parameters = elements.all;
  shape.layer_weights = elements.layers;
  if (!recipe_.lora) {
    shape.trained_parameters = count_elements(choose_parameters(
        *hollow, recipe_.model.trainable, recipe_.path.string() + ": model.trainable"));
  } else if (recipe_.lora_adapter.empty()) {
    shape.trained_parameters = count_elements(LoraAdapters(*hollow, *recipe_.lora).parameters());
  } else {
    shape.trained_parameters =
        count_elements(LoraAdapters::load(*hollow, recipe_.lora_adapter)->parameters());
  }
  shape.dtype = parts_.dtype;
  shape.sequence_length = recipe_.data.sequence_length;
  shape.micro_batch_tokens = recipe_.data.sequence_length * recipe_.train.micro_batch_sequences;
  shape.adds_up_gradients = recipe_.train.global_batch_tokens >= 2 * shape.micro_batch_tokens;
  shape.checkpointing = recipe_.train.activation_checkpointing;
  return shape;
}

Json Run::plan() {
  const RunShape& run = shape_;
  const MemoryEstimate memory = estimate_memory(parts_.config, run);
  const double operations = flops_per_token(parts_.config, run);
  dense_peak_ = measure_dense_peak(parts_.config, parts_.dtype);
  const std::int64_t step_tokens =
      std::max<std::int64_t>(1, recipe_.train.global_batch_tokens / run.sequence_length) *
      run.sequence_length;
  const double tokens = static_cast<double>(step_tokens) * static_cast<double>(total_steps_);
  // Assumed, not measured: the share of the peak that a step is reckoned to reach.
  constexpr double kShareOfPeak = 0.6;
  return {{"objective", objective_->name()},
          {"parameters", run.parameters},
          {"trained_parameters", run.trained_parameters},
          {"memory",
           {{"weights", memory.weights},
            {"optimizer", memory.optimizer},
            {"gradients", memory.gradients},
            {"activations", memory.activations},
            {"total", memory.total()},
            {"available", available_memory()}}},
          {"steps", total_steps_},
          {"warmup_steps", schedule().warmup_steps},
          {"tokens_per_step", step_tokens},
          {"tokens", static_cast<std::int64_t>(tokens)},
          {"operations_per_token", operations},
          {"dense_peak", dense_peak_},
          {"seconds", tokens * operations / (dense_peak_ * kShareOfPeak)},
          {"data", objective_->manifest()}};
}

void Run::check_memory() {
  const MemoryEstimate memory = estimate_memory(parts_.config, shape_);
  const std::uint64_t available = available_memory();
  if (memory.total() <= available) return;
  fail(
      "{}: training needs about {} (weights {}, optimizer {}, gradients {}, activations {}) and {} "
      "are free; a smaller train.micro_batch_sequences, train.activation_checkpointing, or [lora] "
      "take less",
      recipe_.path.string(), format_bytes(memory.total()), format_bytes(memory.weights),
      format_bytes(memory.optimizer), format_bytes(memory.gradients),
      format_bytes(memory.activations), format_bytes(available));
}

void Run::load_model() {
  const TensorSource source = parts_.source(recipe_);
  model_ = make_decoder(parts_.config, source, parts_.dtype);
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

/// What must be the same for a run to go on to the same result.
Json Run::settings() const {
  Json settings = Json::object();
  for (const char* key : {"model", "lora", "data", "train"}) {
    if (recipe_.table.contains(key)) settings[key] = recipe_.table[key];
  }
  return settings;
}

Json Run::state() const {
  Json slices = Json::object();
  for (const TrainedParameter& parameter : optimizer_->parameters()) {
    slices[parameter.name] = parameter.first_row;
  }
  const bool full = !recipe_.lora && recipe_.model.trainable == std::vector<std::string>{"all"};
  Json state = {{"kind", recipe_.lora ? "lora"
                         : full       ? "full"
                                      : "partial"},
                {"base_model", parts_.from_scratch ? "" : parts_.files.path.string()},
                {"dtype", recipe_.model.dtype},
                {"model_config", parse_json(format_model_config(parts_.config), "config")},
                {"tokenizer", parts_.tokenizer_hash},
                {"settings", settings()},
                {"recipe", recipe_.text},
                {"seed", recipe_.train.seed},
                {"step", step_},
                {"total_steps", total_steps_},
                {"tokens", tokens_},
                {"micro_batches", micro_batches_},
                {"updates", optimizer_->updates()},
                {"learning_rate", rate_},
                {"loss", loss_},
                {"guard", guard_.state()},
                {"data", objective_->position()},
                {"program", std::string(version()) + " " + std::string(git_commit())},
                {"slices", std::move(slices)}};
  if (adapters_) {
    state["lora"] = lora_config(adapters_->options(), parts_.files.path.string());
  }
  if (validation_loss_ && validated_step_ == step_) state["validation_loss"] = *validation_loss_;
  return state;
}

void Run::resume() {
  const auto found = find_checkpoint(checkpoints(), [&](const std::string& message) {
    log_warning("a damaged checkpoint is passed over: {}", message);
  });
  if (!found) return;
  const std::string place = (found->folder / "state.json").string();
  JsonReader reader(found->state, place);
  if (reader.get<std::string>("tokenizer") != parts_.tokenizer_hash) {
    fail("{}: the checkpoint is of another tokenizer; choose another output folder", place);
  }
  const Json config = parse_json(format_model_config(parts_.config), "config");
  if (const std::string key = first_difference(reader.get<Json>("model_config"), config);
      !key.empty()) {
    fail("{}: the checkpoint is of another model ({} differs); choose another output folder", place,
         key);
  }
  if (const std::string key = first_difference(reader.get<Json>("settings"), settings());
      !key.empty()) {
    fail(
        "{}: {} is not what it was when {} was written; put it back, or choose another output "
        "folder",
        recipe_.path.string(), key, found->folder.filename().string());
  }
  load_tensors(*found, *optimizer_);
  objective_->seek(reader.get<Json>("data"));
  guard_.restore(reader.get<Json>("guard"));
  step_ = reader.get<std::int64_t>("step");
  tokens_ = reader.get<std::int64_t>("tokens");
  micro_batches_ = reader.get<std::uint64_t>("micro_batches");
  loss_ = reader.get<double>("loss");
  optimizer_->set_updates(reader.get<std::int64_t>("updates"));
  saved_step_ = step_;
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

void Run::note(const std::string& what) {
  log_warning("step {}: {}", step_, what);
  metrics_->add(step_, "event", {{"what", what}});
}

void Run::validate() {
  if (validation_.empty() || validated_step_ == step_) return;
  validated_step_ = step_;
  Json line = {{"loss", Json::object()}};
  std::map<std::string, EvaluationCount> languages;
  EvaluationCount all;
  for (const LoadedValidation& set : validation_) {
    const EvaluationResult result = evaluate_rows(
        *model_, set.rows, std::max<std::int64_t>(2048, recipe_.data.sequence_length));
    line["loss"][set.name] = result.total.loss();
    if (set.kind == "next_token") {
      line["next_token_accuracy"][set.name] = result.total.accuracy();
      for (const auto& [source, count] : result.by_source) {
        line["next_token_accuracy"][source] = count.accuracy();
      }
    } else {
      all.add(result.total);
    }
    if (result.by_source.size() > 1) {
      for (const auto& [source, count] : result.by_source) {
        line["loss_by_source"][source] = count.loss();
      }
    }
    for (const auto& [language, count] : result.by_language) languages[language].add(count);
  }
  for (const auto& [language, count] : languages) line["loss_by_language"][language] = count.loss();
  if (all.tokens > 0) validation_loss_ = all.loss();
  if (validation_loss_) line["mean_loss"] = *validation_loss_;
  metrics_->add(step_, "validation", line);
}

void Run::sample() {
  if (recipe_.samples.prompts.empty()) return;
  std::optional<ChatTemplate> chat_template;
  if (!recipe_.samples.raw && !parts_.files.chat_template.empty()) {
    chat_template.emplace(parts_.files.chat_template);
  }
  std::vector<std::string> texts(recipe_.samples.prompts.size());
  EngineOptions options;
  options.cache_tokens = 0;
  std::vector<GenerationRequest> requests;
  for (const std::string& prompt : recipe_.samples.prompts) {
    GenerationRequest request;
    if (chat_template) {
      ChatTemplate::Inputs inputs;
      inputs.messages = nlohmann::ordered_json::array({{{"role", "user"}, {"content", prompt}}});
      inputs.bos_token = parts_.files.bos_token;
      inputs.eos_token = parts_.files.eos_token;
      request.prompt =
          parts_.tokenizer->encode(chat_template->render(inputs),
                                   {.add_special_tokens = false, .parse_special_tokens = true});
    } else {
      request.prompt = parts_.tokenizer->encode(prompt);
    }
    request.max_new_tokens = recipe_.samples.max_new_tokens;
    request.stop_token_ids = parts_.files.eos_token_ids;
    if (parts_.tokenizer->eos_id) request.stop_token_ids.push_back(*parts_.tokenizer->eos_id);
    options.cache_tokens +=
        static_cast<std::int64_t>(request.prompt.size()) + request.max_new_tokens + 64;
    requests.push_back(std::move(request));
  }
  Engine engine(*model_, *parts_.tokenizer, options);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    engine.submit(std::move(requests[i]),
                  [&texts, i](const GenerationUpdate& update) { texts[i] += update.text; });
  }
  engine.run();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    metrics_->add(step_, "sample", {{"prompt", recipe_.samples.prompts[i]}, {"text", texts[i]}});
  }
}

void Run::save(bool last) {
  if (saved_step_ == step_) {
    const auto error = writer_.wait();
    if (error && last) fail_internal("{}", *error);
    return;
  }
  CheckpointData data;
  data.companions = companions();
  data.state = state();
  saved_step_ = step_;
  const auto folder = checkpoints() / checkpoint_name(step_);
  const std::int64_t keep = recipe_.checkpoint.keep_last;
  const auto write = [folder, keep](const CheckpointData& held) {
    write_checkpoint(folder, held);
    prune_checkpoints(folder.parent_path(), keep);
  };
  if (auto error = writer_.wait()) write_error_ = error;
  collect_tensors(*optimizer_, /*copy=*/false, data);
  // A copy of everything lets training go on at once; where there is no room, it waits.
  const bool background =
      recipe_.checkpoint.background && !last && available_memory() > data.bytes() / 2 * 3;
  if (background) {
    data.parameters.clear();
    data.optimizer.clear();
    collect_tensors(*optimizer_, /*copy=*/true, data);
    auto held = std::make_shared<CheckpointData>(std::move(data));
    writer_.start([held, write] {
      at::get_num_threads();   // LibTorch gives a thread its number of helpers at the first call;
      omp_set_num_threads(1);  // this one must not take the training's processors
      write(*held);
    });
    return;
  }
  try {
    write(data);
    write_error_.reset();
  } catch (const Error& error) {
    if (last) throw;
    write_error_ = error.what();
  }
}

void Run::write_report() {
  ReportContents contents;
  contents.title = recipe_.name;
  contents.summary = {
      {"objective", objective_->name()},
      {"step", fmt::format("{} of {}", step_, total_steps_)},
      {"tokens", format_count(static_cast<std::uint64_t>(tokens_))},
      {"loss", loss_},
      {"skipped steps", guard_.skipped()},
      {"parameters trained",
       format_count(static_cast<std::uint64_t>(count_elements(optimizer_->parameters())))},
      {"model", parts_.files.path.string()},
      {"tokenizer", parts_.tokenizer_hash}};
  contents.manifest = objective_->manifest();
  contents.recipe = recipe_.text;
  contents.versions = {{"tigerbot", std::string(version())}, {"commit", std::string(git_commit())}};
  contents.metrics = metrics_->lines();
  write_file(recipe_.output / "report.html", html_report(contents));
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
