#include "cli/program.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace tigerbot {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "tigerbot-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_all(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

ProgramResult run_tigerbot(const std::vector<std::string>& arguments, const std::string& input,
                           const std::string& out_path) {
  // Files rather than pipes: nothing can fill up and wait.
  const TemporaryFolder folder;
  write_all(folder / "in", input);
  const std::string out = out_path.empty() ? folder / "out" : out_path;
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    const auto redirect = [](const std::string& path, int flags, int descriptor) {
      const int file = open(path.c_str(), flags, 0600);
      if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
    };
    redirect(folder / "in", O_RDONLY, STDIN_FILENO);
    redirect(out, O_WRONLY | O_CREAT, STDOUT_FILENO);
    redirect(folder / "err", O_WRONLY | O_CREAT, STDERR_FILENO);
    std::vector<char*> argv;
    static char program[] = TIGERBOT_PROGRAM;
    argv.push_back(program);
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(program, argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ProgramResult result;
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (out_path.empty()) result.out = read_all(out);
  result.err = read_all(folder / "err");
  return result;
}

}  // namespace tigerbot
