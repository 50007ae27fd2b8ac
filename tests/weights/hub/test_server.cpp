#include "weights/hub/test_server.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <stdexcept>

#include "base/files.h"
#include "base/json.h"

namespace tigerbot::testing {

TestServer::TestServer() {
  int to_server[2], from_server[2];
  // Close-on-exec: a server that inherited another's input pipe would keep it alive.
  if (::pipe2(to_server, O_CLOEXEC) != 0 || ::pipe2(from_server, O_CLOEXEC) != 0)
    throw std::runtime_error("no pipe for the test server");
  const std::string script = TIGERBOT_SOURCE_DIR "/tests/weights/hub/server.py";
  process_ = ::fork();
  if (process_ == 0) {
    ::dup2(to_server[0], 0);
    ::dup2(from_server[1], 1);
    ::execlp("python3", "python3", script.c_str(), folder_.path().c_str(), nullptr);
    ::_exit(127);
  }
  ::close(to_server[0]);
  ::close(from_server[1]);
  input_ = to_server[1];
  std::FILE* output = ::fdopen(from_server[0], "r");
  if (std::fscanf(output, "%d", &port_) != 1) throw std::runtime_error("no test server");
  std::fclose(output);
}

TestServer::~TestServer() {
  ::close(input_);
  ::waitpid(process_, nullptr, 0);
}

void TestServer::put(const std::string& path, const std::string& bytes) const {
  create_folders((folder_ / path).parent_path());
  write_file(folder_ / path, bytes);
}

void TestServer::set_faults(const std::map<std::string, std::vector<std::string>>& faults) const {
  write_file(folder_ / "faults.json", Json(faults).dump());
}

std::string TestServer::url(const std::string& path) const {
  return "http://127.0.0.1:" + std::to_string(port_) + (path.empty() ? "" : "/" + path);
}

std::vector<std::string> TestServer::requests() const {
  std::vector<std::string> lines;
  if (!std::filesystem::exists(folder_ / "requests.log")) return lines;
  std::istringstream log(read_file(folder_ / "requests.log"));
  for (std::string line; std::getline(log, line);) lines.push_back(line);
  return lines;
}

}  // namespace tigerbot::testing
