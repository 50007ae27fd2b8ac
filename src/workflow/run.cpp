#include "workflow/run.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "base/logging.h"
#include "base/text.h"
#include "base/version.h"
#include "train/cost.h"
#include "workflow/child_process.h"
#include "workflow/placeholders.h"
#include "workflow/places.h"
#include "workflow/report.h"
#include "workflow/stage_run.h"
#include "workflow/stage_state.h"

namespace tigerbot::workflow {
namespace {

namespace fs = std::filesystem;

/// Only one run works in an output folder; the system lets go of the lock when its process ends.
class OutputLock {
 public:
  explicit OutputLock(const fs::path& output) {
    create_folders(output / ".work");
    const fs::path path = output / ".work" / "lock";
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("{}: cannot be written: {}", path.string(), std::strerror(errno));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      fail("{}: another run is at work there; wait for it, or stop it", output.string());
    }
  }
  ~OutputLock() { ::close(descriptor_); }
  OutputLock(const OutputLock&) = delete;
  OutputLock& operator=(const OutputLock&) = delete;

 private:
  int descriptor_ = -1;
};

/// run.log: every line of every stage, with the time.
class RunLog {
 public:
  explicit RunLog(const fs::path& path) : file_(path, std::ios::app) {}
  void add(const std::string& stage, std::string_view line) {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char time[32];
    std::strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", &parts);
    file_ << time << ' ' << stage << ": " << line << '\n';
    file_.flush();
  }

 private:
  std::ofstream file_;
};

void say(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
}

std::uint64_t free_disk(const fs::path& folder) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  return error ? ~0ull : space.available;
}

/// Says what the recipe may take, and that it is there.
void check_machine(const Recipe& recipe) {
  const std::uint64_t used = disk_usage(recipe.output);
  const std::uint64_t memory = train::available_memory(), disk = free_disk(recipe.output);
  std::string text = fmt::format("{}: {} stages, into {}\n", recipe.name, recipe.stages.size(),
                                 recipe.output.string());
  const auto limit = [](std::uint64_t bytes) {
    return bytes == 0 ? std::string("any amount") : "at most " + format_bytes(bytes);
  };
  text +=
      fmt::format("memory: {}; {} are free\n", limit(recipe.memory_limit), format_bytes(memory));
  text += fmt::format("disk:   {}; {} are used, {} are free", limit(recipe.disk_limit),
                      format_bytes(used), format_bytes(disk));
  say(text);
  if (recipe.memory_limit > memory) {
    fail("{}: limits.memory is {}, and {} are free on this machine", recipe.path.string(),
         format_bytes(recipe.memory_limit), format_bytes(memory));
  }
  if (recipe.disk_limit > used && recipe.disk_limit - used > disk) {
    fail("{}: limits.disk is {}, of which {} are used; only {} are free in {}",
         recipe.path.string(), format_bytes(recipe.disk_limit), format_bytes(used),
         format_bytes(disk), recipe.output.string());
  }
}

void check_options(const Recipe& recipe, const RunOptions& options) {
  if (!options.from.empty()) {
    recipe.stage(options.from);
    if (!options.only.empty()) fail("--from and --only exclude each other");
  }
  for (const std::string& name : options.only) {
    for (const std::string& need : recipe.stage(name).needs) {
      const bool chosen =
          std::find(options.only.begin(), options.only.end(), need) != options.only.end();
      if (!chosen && read_record(recipe, need).is_null()) {
        fail("--only {}: it needs stage {}, which is not made yet", name, quote(need));
      }
    }
  }
}

/// Whether the command line asks for a stage: 1 to run it in any case, 0 if it is to be decided,
/// -1 to leave it.
int asked_for(const Stage& stage, const RunOptions& options, bool from_reached) {
  if (!options.only.empty()) {
    const auto& only = options.only;
    return std::find(only.begin(), only.end(), stage.name) != only.end() ? 1 : -1;
  }
  return from_reached ? 1 : 0;
}

/// Runs a server until it ends by itself or is asked to.
void serve(const Recipe& recipe, const Stage& stage,
           const std::function<void(std::string_view)>& log) {
  const Places places{recipe.output};
  const Json filled = fill_in(Json(stage.command), [&](const std::string& name) {
    if (name == "tigerbot") return std::optional<Json>(own_program().string());
    if (!stage.needs.contains(name)) return std::optional<Json>();
    return std::optional<Json>(places.result(name).string());
  });
  ChildOptions child;
  child.arguments = command_line(stage, recipe, filled);
  child.output = places.work() / "printed.txt";
  child.on_line = log;
  const ChildResult result = run_child(child);
  if (result.status != 0 && !result.stopped) {
    throw Error(fmt::format("stage {} failed with status {}: {}", quote(stage.name), result.status,
                            result.last_line),
                Error::Kind::kFailure);
  }
}

}  // namespace

Json run(const Recipe& recipe, const RunOptions& options) {
  check_options(recipe, options);
  create_folders(recipe.output);
  const OutputLock lock(recipe.output);
  check_machine(recipe);
  const Places places{recipe.output};
  Digests digests(fs::exists(places.digests()) ? read_json_file(places.digests()) : Json());
  RunLog log(places.log());
  log.add(recipe.name, fmt::format("tigerbot {} ({})", version(), git_commit()));

  bool from_reached = false;
  for (std::size_t k = 0; k < recipe.stages.size(); ++k) {
    const Stage& stage = recipe.stages[k];
    from_reached = from_reached || stage.name == options.from;
    const int asked = asked_for(stage, options, from_reached);
    if (asked < 0) continue;
    const std::string label = fmt::format("[{}/{}] {}", k + 1, recipe.stages.size(), stage.name);
    if (stage.is_server) {
      if (!options.serve) continue;
      write_report(recipe, digests);
      say(fmt::format("{}: {}", label, stage.title));
      serve(recipe, stage, [&](std::string_view line) { log.add(stage.name, line); });
      continue;
    }
    const std::string reason = reason_to_run(stage, recipe, digests);
    if (asked == 0 && reason.empty()) {
      say(fmt::format("{}: up to date", label));
      continue;
    }
    say(fmt::format("{}: {} ({})", label, stage.title, reason.empty() ? "asked for" : reason));
    log.add(stage.name, "begins");
    const StageKey key = key_of(stage, recipe, digests);
    try {
      StageRun one(recipe, stage, key, digests,
                   [&](std::string_view line) { log.add(stage.name, line); });
      const Json record = one.run();
      const Json& cost = record["cost"];
      const std::string done =
          fmt::format("done in {}, {} of memory", format_duration(cost["seconds"].get<double>()),
                      format_bytes(cost["peak_memory"].get<std::uint64_t>()));
      log.add(stage.name, done);
      say(fmt::format("{}: {}", label, done));
    } catch (const Error& error) {
      log.add(stage.name, error.what());
      write_report(recipe, digests);
      throw;
    }
    write_file(places.digests(), digests.to_json().dump());
  }
  write_file(places.digests(), digests.to_json().dump());
  return write_report(recipe, digests);
}

}  // namespace tigerbot::workflow
