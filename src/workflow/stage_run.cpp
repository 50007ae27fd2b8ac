#include "workflow/stage_run.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/toml.h"
#include "base/version.h"
#include "workflow/child_process.h"
#include "workflow/placeholders.h"

namespace tigerbot::workflow {
namespace {

namespace fs = std::filesystem;

/// "2026-11-25T04:22:08Z".
std::string now_text() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

bool is_command(const Stage& stage, std::initializer_list<const char*> words) {
  if (stage.is_script || stage.command.size() < words.size()) return false;
  return std::equal(words.begin(), words.end(), stage.command.begin());
}

/// The one JSON object that a command with --json prints; null if it printed something else.
Json printed_object(const fs::path& path) {
  try {
    Json printed = read_json_file(path, {}, 64 << 20);
    return printed.is_object() ? printed : Json();
  } catch (const Error&) {
    return nullptr;
  }
}

/// The speed of a short run: the middle one of its last three steps.
double tokens_per_second(const fs::path& metrics) {
  std::vector<double> speeds;
  std::ifstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    const Json entry = parse_json(line, metrics.string());
    if (entry.value("kind", "") == "train") speeds.push_back(entry["tokens_per_second"]);
  }
  if (speeds.size() < 3) fail_internal("{}: there are no steps to measure", metrics.string());
  std::vector<double> last(speeds.end() - 3, speeds.end());
  std::sort(last.begin(), last.end());
  return last[1];
}

}  // namespace

std::vector<std::string> command_line(const Stage& stage, const Recipe& recipe,
                                      const Json& filled) {
  auto arguments = without_escapes(filled).get<std::vector<std::string>>();
  if (stage.is_script) {
    arguments.front() = script_path(stage, recipe).string();
    arguments.insert(arguments.begin(), "python3");
  } else {
    arguments.insert(arguments.begin(), own_program().string());
  }
  return arguments;
}

StageRun::StageRun(const Recipe& recipe, const Stage& stage, const StageKey& key, Digests& digests,
                   std::function<void(std::string_view)> log)
    : recipe_(recipe),
      stage_(stage),
      key_(key),
      digests_(digests),
      log_(std::move(log)),
      places_{recipe.output},
      work_(places_.work(stage.name, key.hex())) {}

/// Work towards other results than those that are wanted now.
void StageRun::remove_stale_work() {
  const std::string prefix = stage_.name + "-";
  for (const auto& entry : fs::directory_iterator(places_.work())) {
    const std::string name = entry.path().filename().string();
    // A name ends in the 16 digits of a key: "sft-long-..." is no work of "sft".
    if (name.starts_with(prefix) && name.size() == prefix.size() + 16 && entry.path() != work_) {
      fs::remove_all(entry.path());
    }
  }
}

Json StageRun::fill(const Json& value) const {
  return fill_in(value, [this](const std::string& name) -> std::optional<Json> {
    if (name == "out") return (work_ / "result").string();
    if (name == "recipe") return (work_ / "recipe.toml").string();
    if (name == "tigerbot") return own_program().string();
    if (stage_.needs.contains(name)) return places_.result(name).string();
    return std::nullopt;
  });
}

/// Trains for a few steps and reckons how many the budget's minutes hold. What was reckoned stays,
/// so that a run that was stopped goes on with the same number.
std::int64_t StageRun::steps_of_budget(const Json& recipe) {
  const Json train = recipe.value("train", Json::object());
  const auto batch = train.value("global_batch_tokens", std::int64_t{0});
  const std::int64_t length =
      recipe.value("data", Json::object()).value("sequence_length", std::int64_t{2048});
  if (batch < 1 || length < 1) {
    fail("{}: stage {} has a budget; its recipe must say train.global_batch_tokens",
         recipe_.path.string(), quote(stage_.name));
  }
  const std::int64_t step = std::max<std::int64_t>(1, batch / length) * length;
  if (stage_.budget.tokens > 0) {
    return std::max<std::int64_t>(1, (stage_.budget.tokens + step / 2) / step);
  }
  const fs::path known = work_ / "budget.json";
  if (fs::exists(known)) return read_json_file(known)["steps"];
  Json probe = recipe;
  probe["output"] = (work_ / "probe").string();
  probe["train"]["steps"] = 4;
  probe.erase("validation");
  probe.erase("samples");
  fs::remove_all(work_ / "probe");
  write_file(work_ / "probe.toml", format_toml(without_escapes(probe)));
  log_("a few steps, to see how many the budget holds");
  ChildOptions options;
  options.arguments = {own_program().string(), "train", (work_ / "probe.toml").string()};
  options.output = work_ / "printed.txt";
  options.on_line = log_;
  const ChildResult child = run_child(options);
  if (child.status != 0) {
    throw Error(fmt::format("stage {}: {}", quote(stage_.name), child.last_line),
                child.status == 2 ? Error::Kind::kUser : Error::Kind::kFailure);
  }
  const double speed = tokens_per_second(work_ / "probe" / "metrics.jsonl");
  fs::remove_all(work_ / "probe");
  const auto steps = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(stage_.budget.minutes * 60 * speed / static_cast<double>(step)));
  write_file(known, Json{{"tokens_per_second", speed}, {"steps", steps}}.dump(1) + "\n");
  return steps;
}

void StageRun::write_recipe() {
  if (stage_.recipe.is_null()) return;
  Json recipe = fill(stage_.recipe);
  if (stage_.budget.given()) recipe["train"]["steps"] = steps_of_budget(recipe);
  write_file(work_ / "recipe.toml", format_toml(without_escapes(recipe)));
}

void StageRun::check_disk() {
  const std::uint64_t used = disk_usage(recipe_.output);
  peak_disk_ = std::max(peak_disk_, used);
  if (recipe_.disk_limit == 0 || used <= recipe_.disk_limit) return;
  fail("stage {}: {} holds {}, and limits.disk is {}; remove what is not needed, or raise it",
       quote(stage_.name), recipe_.output.string(), format_bytes(used),
       format_bytes(recipe_.disk_limit));
}

/// What it cost.
Json StageRun::run_command() {
  const fs::path result = work_ / "result";
  if (is_command(stage_, {"train"})) {
    // Training goes on from its checkpoints; what it exports at the end is then made again.
    fs::remove_all(result / "final");
    fs::remove_all(result / "adapter");
  } else if (!is_command(stage_, {"data", "build"})) {
    fs::remove_all(result);
  }
  write_recipe();
  std::ofstream log(work_ / "log.txt", std::ios::app);
  ChildOptions options;
  options.arguments = command_line(stage_, recipe_, fill(Json(stage_.command)));
  options.output = work_ / "printed.txt";
  options.on_line = [&](std::string_view line) {
    log << line << '\n';
    log_(line);
  };
  options.on_tick = [this] { check_disk(); };
  const ChildResult child = run_child(options);
  log.flush();
  if (child.stopped && child.status != 0) {
    throw Error(fmt::format("stopped by {} in stage {}; the same command goes on from there",
                            child.stop_signal, quote(stage_.name)),
                Error::Kind::kFailure);
  }
  if (child.status != 0) {
    std::string why = child.last_line;
    if (why.starts_with("tigerbot: ")) why = why.substr(10);
    if (why.empty()) why = "it said nothing";
    const std::string how = child.status > 128
                                ? fmt::format("was ended by signal {}", child.status - 128)
                                : fmt::format("failed with status {}", child.status);
    throw Error(fmt::format("stage {} {}: {}", quote(stage_.name), how, why),
                child.status == 2 ? Error::Kind::kUser : Error::Kind::kFailure);
  }
  if (recipe_.memory_limit > 0 && child.peak_memory > recipe_.memory_limit) {
    fail("stage {} took {} of memory, and limits.memory is {}", quote(stage_.name),
         format_bytes(child.peak_memory), format_bytes(recipe_.memory_limit));
  }
  check_disk();
  Json cost = {{"seconds", child.seconds},
               {"processor_seconds", child.processor_seconds},
               {"peak_memory", child.peak_memory},
               {"peak_disk", peak_disk_}};
  if (const Json printed = printed_object(work_ / "printed.txt");
      printed.is_object() && printed.contains("tokens") && printed["tokens"].is_number_integer()) {
    cost["tokens"] = printed["tokens"];
  }
  return cost;
}

Json StageRun::run() {
  create_folders(places_.work());
  remove_stale_work();
  create_folders(work_);
  const fs::path done = work_ / "done.json";
  Json progress = Json::object();
  if (fs::exists(work_ / "attempts.json")) progress = read_json_file(work_ / "attempts.json");
  if (!fs::exists(done)) {
    const int attempts = progress.value("attempts", 0) + 1;
    progress["attempts"] = attempts;
    write_file(work_ / "attempts.json", progress.dump() + "\n");
    Json cost = run_command();
    cost["attempts"] = attempts;
    write_file(done, cost.dump(1) + "\n");
  }
  return finish(read_json_file(done));
}

Json StageRun::finish(const Json& cost) {
  const fs::path result = work_ / "result";
  create_folders(result);
  for (const std::string& path : stage_.discard) {
    for (const fs::path& found : matches((result / path).string())) fs::remove_all(found);
  }
  Json files = Json::object();
  for (const auto& entry : fs::directory_iterator(result)) {
    const std::uint64_t bytes = entry.is_directory() ? disk_usage(entry.path()) : entry.file_size();
    files[entry.path().filename().string()] = {{"bytes", bytes},
                                               {"sha256", digests_.of(entry.path())}};
  }
  const Json written =
      fs::exists(work_ / "recipe.toml") ? Json(read_file(work_ / "recipe.toml")) : Json();
  const Json record = {{"name", stage_.name},
                       {"key", key_.hex()},
                       {"made_from", key_.to_json()},
                       {"program", std::string(version()) + " " + std::string(git_commit())},
                       {"command", command_line(stage_, recipe_, fill(Json(stage_.command)))},
                       {"recipe", written},
                       {"cost", cost},
                       {"files", files},
                       {"sha256", digests_.of(result)},
                       {"finished", now_text()}};
  write_file(work_ / "stage.json", record.dump(1) + "\n");
  for (const char* name : {"attempts.json", "budget.json", "probe.toml"}) {
    fs::remove(work_ / name);
  }
  // What stood there goes aside first: a folder cannot be renamed over one that is not empty.
  const fs::path place = places_.stage(stage_.name);
  const fs::path old = places_.work() / ("old-" + stage_.name);
  fs::remove_all(old);
  if (fs::exists(place)) fs::rename(place, old);
  fs::rename(work_, place);
  digests_.moved(work_, place);
  fs::remove_all(old);
  fs::remove(place / "done.json");
  return record;
}

}  // namespace tigerbot::workflow
