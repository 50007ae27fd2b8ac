// Runs that are killed, stopped, or cannot write: they go on, and come to the same bits.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/random.h"
#include "base/scratch_folder.h"
#include "train/checkpoint.h"
#include "train/tiny_run.h"
#include "train/tiny_runs.h"

extern char** environ;

namespace tigerbot::train {
namespace {

using testing::curve;
using testing::expect_same_weights;
using testing::kOften;
using testing::run_in;
using testing::tiny_recipe;
using testing::write_tiny_run;
using tigerbot::testing::error_of;
using tigerbot::testing::ScratchFolder;

// Not a test of its own: what the tests below start as another process, to kill it.
TEST(Child, Runs) {
  const char* folder = std::getenv("TIGERBOT_TEST_RUN");
  if (!folder) GTEST_SKIP() << "started by other tests";
  if (const char* limit = std::getenv("TIGERBOT_TEST_FILE_BYTES")) {
    // A write past it fails, as on a full disk, once the signal that comes along is ignored.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlim_t bytes = std::stoull(limit);
    const rlimit file_size{bytes, bytes};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &file_size), 0);
  }
  run_in(folder);
}

/// With `file_bytes`, no file of the child can grow past so many bytes.
pid_t start_child(const std::filesystem::path& folder, int file_bytes = 0) {
  if (file_bytes > 0) ::setenv("TIGERBOT_TEST_FILE_BYTES", std::to_string(file_bytes).c_str(), 1);
  ::setenv("TIGERBOT_TEST_RUN", folder.c_str(), 1);
  std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::string filter = "--gtest_filter=Child.Runs";
  char* arguments[] = {program.data(), filter.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  EXPECT_EQ(posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  ::unsetenv("TIGERBOT_TEST_RUN");
  ::unsetenv("TIGERBOT_TEST_FILE_BYTES");
  return child;
}

std::size_t lines_of(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return 0;
  const std::string text = read_file(file);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// A run that lasts until somebody stops it.
std::string endless_recipe(const std::string& rest) {
  std::string recipe = tiny_recipe("steps = 1000000\n", rest);
  return recipe.replace(recipe.find("epochs = 3"), 10, "epochs = 1000000");
}

/// Waits until the child's run has made so many steps; false if the child ended before.
bool wait_for_lines(const std::filesystem::path& folder, pid_t child, std::size_t lines) {
  while (lines_of(folder / "run/metrics.jsonl") < lines) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (waitpid(child, nullptr, WNOHANG) != 0) return false;
  }
  return true;
}

/// Waits until the file has this text in it; false if the child ended before.
bool wait_for_text(const std::filesystem::path& file, pid_t child, const std::string& text) {
  while (!std::filesystem::exists(file) || read_file(file).find(text) == std::string::npos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (waitpid(child, nullptr, WNOHANG) != 0) return false;
  }
  return true;
}

/// Ends a child with a signal; its exit status, or -1 where the signal itself ended it.
int stop(pid_t child, int signal) {
  ::kill(child, signal);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Runs the recipe without a stop until it has made as many steps as the other run, and compares.
void expect_curve_of_a_run_never_stopped(const std::filesystem::path& other,
                                         const std::string& recipe) {
  const std::vector<std::string> stopped = curve(other);
  const ScratchFolder whole;
  write_tiny_run(whole.path(), recipe);
  const pid_t child = start_child(whole.path());
  EXPECT_TRUE(wait_for_lines(whole.path(), child, stopped.size() + 1));
  stop(child, SIGKILL);
  std::vector<std::string> lines = curve(whole.path());
  ASSERT_GE(lines.size(), stopped.size());
  lines.resize(stopped.size());
  EXPECT_EQ(stopped, lines);
}

std::int64_t step_of(const std::filesystem::path& checkpoint) {
  return open_checkpoint(checkpoint).state.at("step").get<std::int64_t>();
}

TEST(StopAndResume, AKilledRunGoesOnToTheSameBits) {
  const ScratchFolder whole, killed;
  // bfloat16 with masters, background checkpoints, and a validation in between.
  const std::string recipe = tiny_recipe("", kOften);
  write_tiny_run(whole.path(), recipe);
  write_tiny_run(killed.path(), recipe);
  const TrainResult result = run_in(whole.path());
  RandomStream random{static_cast<std::uint64_t>(::getpid()), 1};
  int kills = 0;
  for (int attempt = 0; attempt < 30; ++attempt) {
    const pid_t child = start_child(killed.path());
    const std::size_t start = lines_of(killed / "run/metrics.jsonl");
    const std::size_t enough = start + 1 + random.below(6);
    int status = 0;
    bool over = false;
    while (!over) {
      over = waitpid(child, &status, WNOHANG) == child;
      if (!over && kills < 5 && lines_of(killed / "run/metrics.jsonl") >= enough) {
        ::kill(child, SIGKILL);
        ++kills;
        waitpid(child, &status, 0);
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (over) {
      ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
      break;
    }
  }
  EXPECT_GE(kills, 3);
  EXPECT_EQ(curve(killed.path()), curve(whole.path()));
  expect_same_weights(killed / "run/final", result.model);
}

TEST(StopAndResume, EitherSignalWritesACheckpointAndLeavesToGoOnToTheSameBits) {
  // No checkpoint but the signal's own.
  const std::string recipe = endless_recipe("[checkpoint]\nevery_steps = 1000000\n");
  const ScratchFolder folder;
  write_tiny_run(folder.path(), recipe);
  std::int64_t last = 0;
  for (const int signal : {SIGTERM, SIGINT}) {
    const pid_t child = start_child(folder.path());
    ASSERT_TRUE(wait_for_lines(folder.path(), child, static_cast<std::size_t>(last) + 4));
    EXPECT_GT(stop(child, signal), 0);  // it ended by its own Error
    const auto found = list_checkpoints(folder / "run/checkpoints");
    ASSERT_FALSE(found.empty());
    EXPECT_GE(step_of(found.back()), last + 4);
    last = step_of(found.back());
    EXPECT_EQ(curve(folder.path()).size(), static_cast<std::size_t>(last));
  }
  const pid_t child = start_child(folder.path());
  ASSERT_TRUE(wait_for_lines(folder.path(), child, static_cast<std::size_t>(last) + 4));
  stop(child, SIGKILL);
  expect_curve_of_a_run_never_stopped(folder.path(), recipe);
}

TEST(StopAndResume, ADiskThatIsFullWhileACheckpointIsWrittenHarmsNothing) {
  const std::string recipe = endless_recipe("[checkpoint]\nevery_steps = 5\nkeep_last = 2\n");
  const ScratchFolder folder;
  const auto metrics = folder / "run/metrics.jsonl";
  write_tiny_run(folder.path(), recipe);
  const pid_t first = start_child(folder.path());
  ASSERT_TRUE(wait_for_lines(folder.path(), first, 6));
  EXPECT_GT(stop(first, SIGTERM), 0);
  const auto before = list_checkpoints(folder / "run/checkpoints");
  ASSERT_FALSE(before.empty());
  // The weights fit, the optimizer's state does not: training goes on and says so; told to stop, it
  // cannot leave a checkpoint and says that.
  const pid_t second = start_child(folder.path(), 200'000);
  ASSERT_TRUE(wait_for_text(metrics, second, "a checkpoint could not be written"));
  ASSERT_TRUE(wait_for_lines(folder.path(), second, lines_of(metrics) + 3));
  EXPECT_GT(stop(second, SIGTERM), 0);
  EXPECT_EQ(list_checkpoints(folder / "run/checkpoints"), before);
  for (const auto& checkpoint : before) open_checkpoint(checkpoint);  // throws if it is not whole
  std::size_t folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "run/checkpoints")) {
    folders += entry.is_directory() ? 1U : 0U;
  }
  EXPECT_EQ(folders, before.size());  // nothing half-written lies about
  const pid_t third = start_child(folder.path());
  ASSERT_TRUE(
      wait_for_lines(folder.path(), third, static_cast<std::size_t>(step_of(before.back())) + 6));
  stop(third, SIGKILL);
  expect_curve_of_a_run_never_stopped(folder.path(), recipe);
}

TEST(StopAndResume, ADamagedCheckpointIsPassedOver) {
  const ScratchFolder whole, damaged;
  const std::string recipe = tiny_recipe("", kOften);
  for (const auto* folder : {&whole, &damaged}) {
    write_tiny_run(folder->path(), recipe);
    run_in(folder->path());
  }
  std::filesystem::remove_all(damaged / "run/final");
  const auto found = list_checkpoints(damaged / "run/checkpoints");
  ASSERT_EQ(found.size(), 2U);
  const auto file = found[1] / "optimizer-00000-of-00001.safetensors";
  std::filesystem::resize_file(file, size_of_file(file) - 5);
  EXPECT_NE(error_of([&] { open_checkpoint(found[1]); }).find("truncated"), std::string::npos);
  run_in(damaged.path());
  EXPECT_EQ(curve(damaged.path()), curve(whole.path()));
  expect_same_weights(damaged / "run/final", whole / "run/final");
}

TEST(StopAndResume, WhereNoCheckpointIsWholeNothingBeginsAnew) {
  const ScratchFolder folder;
  write_tiny_run(folder.path(), tiny_recipe("", kOften));
  run_in(folder.path());
  std::filesystem::remove_all(folder / "run/final");
  for (const auto& checkpoint : list_checkpoints(folder / "run/checkpoints")) {
    std::filesystem::resize_file(checkpoint / "state.json", 10);
  }
  EXPECT_NE(error_of([&] { run_in(folder.path()); }).find("none of the 2 checkpoints is whole"),
            std::string::npos);
}

}  // namespace
}  // namespace tigerbot::train
