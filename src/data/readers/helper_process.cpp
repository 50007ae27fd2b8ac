#include "data/readers/helper_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/text.h"

extern char** environ;

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

fs::path find_helper(const std::string& name) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (const fs::path& folder : {program.parent_path(), fs::path(TIGERBOT_HELPER_FOLDER)}) {
    const fs::path helper = folder / name;
    if (::access(helper.c_str(), X_OK) == 0) return helper;
  }
  return {};
}

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void set(int value) {
    close();
    value_ = value;
  }
  int get() const { return value_; }
  void close() {
    if (value_ >= 0) ::close(value_);
    value_ = -1;
  }

 private:
  int value_ = -1;
};

class HelperSource : public ByteSource {
 public:
  HelperSource(const fs::path& helper, std::vector<std::string> arguments,
               const HelperLimits& limits)
      : cpu_seconds_(limits.cpu_seconds) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
      fail_internal("a pipe cannot be made: {}", std::strerror(errno));
    output_.set(pipe[0]);
    Descriptor writing(pipe[1]);
    // Messages go to a file without a name, so that no pipe can fill up while nobody reads it.
    errors_.set(::open(fs::temp_directory_path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, writing.get(), 1);
    if (errors_.get() >= 0) posix_spawn_file_actions_adddup2(&actions, errors_.get(), 2);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    arguments.insert(arguments.begin(), {helper.string(), std::to_string(limits.cpu_seconds),
                                         std::to_string(limits.memory_bytes)});
    std::vector<char*> pointers;
    for (auto& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    const int error =
        ::posix_spawn(&process_, helper.c_str(), &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
      process_ = -1;
      fail_internal("{}: cannot be started: {}", helper.string(), std::strerror(error));
    }
  }

  ~HelperSource() override {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
  }

  std::size_t read(char* to, std::size_t size) override {
    while (process_ > 0) {
      const auto got = ::read(output_.get(), to, size);
      if (got > 0) {
        consumed_ += static_cast<std::uint64_t>(got);
        return static_cast<std::size_t>(got);
      }
      if (got < 0 && errno == EINTR) continue;
      finish();
    }
    return 0;
  }
  std::uint64_t consumed() const override { return consumed_; }

 private:
  /// Waits for the helper and says what it said if it failed.
  void finish() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    if (WIFSIGNALED(status)) {
      if (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL)
        throw DamagedInput(
            fmt::format("took more than {} s of computing and was given up", cpu_seconds_));
      throw DamagedInput(
          fmt::format("is damaged: its reader crashed ({})", ::strsignal(WTERMSIG(status))));
    }
    throw DamagedInput(last_error_line());
  }

  std::string last_error_line() const {
    std::string text(4096, '\0');
    const auto end = errors_.get() < 0 ? 0 : ::lseek(errors_.get(), 0, SEEK_END);
    const auto from = end > 4096 ? end - 4096 : 0;
    const auto got = errors_.get() < 0 ? 0 : ::pread(errors_.get(), text.data(), text.size(), from);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    const auto lines = split(trim(text), '\n');
    return lines.back().empty() ? "cannot be read" : std::string(lines.back());
  }

  pid_t process_ = -1;
  Descriptor output_, errors_;
  std::uint64_t cpu_seconds_, consumed_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> run_helper(const std::string& name,
                                       const std::vector<std::string>& arguments,
                                       const HelperLimits& limits, const std::string& missing) {
  const fs::path helper = find_helper(name);
  if (helper.empty()) fail("{}", missing);
  return std::make_unique<HelperSource>(helper, arguments, limits);
}

TemporaryFile::TemporaryFile(ByteSource& source) {
  std::string name = (fs::temp_directory_path() / "tigerbot-XXXXXX").string();
  const Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (file.get() < 0)
    fail_internal("{}: no temporary file can be made: {}", name, std::strerror(errno));
  path_ = name;
  std::vector<char> piece(256 << 10);
  try {
    while (const auto got = source.read(piece.data(), piece.size())) {
      for (std::size_t at = 0; at < got;) {
        const auto put = ::write(file.get(), piece.data() + at, got - at);
        if (put < 0 && errno != EINTR)
          fail_internal("{}: cannot be written: {}; TMPDIR names another folder", name,
                        std::strerror(errno));
        if (put > 0) at += static_cast<std::size_t>(put);
      }
    }
  } catch (...) {
    ::unlink(path_.c_str());
    throw;
  }
}

TemporaryFile::~TemporaryFile() { ::unlink(path_.c_str()); }

}  // namespace tigerbot::data
