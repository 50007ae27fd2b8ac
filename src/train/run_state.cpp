// A run's checkpoints: what they hold, going on from one, writing them.

#include <ATen/Parallel.h>
#include <omp.h>

#include "base/error.h"
#include "base/logging.h"
#include "base/version.h"
#include "train/export.h"
#include "train/run.h"

namespace tigerbot::train {
namespace {

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
  if (!found) {
    const std::size_t damaged = list_checkpoints(checkpoints()).size();
    if (damaged == 0) return;
    fail(
        "{}: none of the {} checkpoints is whole; put one back, or remove the folder to begin anew",
        checkpoints().string(), damaged);
  }
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

}  // namespace tigerbot::train
