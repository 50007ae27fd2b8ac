#pragma once

#include <sys/types.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/scratch_folder.h"

namespace tigerbot::testing {

/// A local web server with faults (server.py), up for the life of the object.
class TestServer {
 public:
  TestServer();
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  /// Puts a page on the server: put("a/b", bytes) is served as /a/b.
  void put(const std::string& path, const std::string& bytes) const;

  /// What goes wrong with the requests for a path, one after another; see server.py.
  void set_faults(const std::map<std::string, std::vector<std::string>>& faults) const;

  std::string url(const std::string& path = "") const;

  /// "path range authorization" of each request so far.
  std::vector<std::string> requests() const;

  int port() const { return port_; }

 private:
  ScratchFolder folder_;
  pid_t process_ = -1;
  int input_ = -1, port_ = 0;
};

/// Sets environment variables for one scope; nullptr unsets.
class ScopedVariables {
 public:
  explicit ScopedVariables(const std::map<std::string, const char*>& values) {
    for (const auto& [name, value] : values) {
      const char* old = std::getenv(name.c_str());
      old_.emplace_back(name, old ? old : "", old != nullptr);
      if (value) {
        ::setenv(name.c_str(), value, 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  ~ScopedVariables() {
    for (const auto& [name, value, was_set] : old_) {
      if (was_set) {
        ::setenv(name.c_str(), value.c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  ScopedVariables(const ScopedVariables&) = delete;
  ScopedVariables& operator=(const ScopedVariables&) = delete;

 private:
  std::vector<std::tuple<std::string, std::string, bool>> old_;
};

}  // namespace tigerbot::testing
