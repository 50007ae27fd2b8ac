#pragma once

#include <string>
#include <vector>

namespace tigerbot {

/// What a run of the program left behind.
struct ProgramResult {
  int status = 0;  ///< exit status, or 128 + the signal that ended it
  std::string out;
  std::string err;
};

/// Runs build/tigerbot with these arguments, `input` on its stdin. With `out_path` stdout goes
/// there and is not captured.
ProgramResult run_tigerbot(const std::vector<std::string>& arguments, const std::string& input = "",
                           const std::string& out_path = "");

/// A folder of its own for one test, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string read_all(const std::string& path);
void write_all(const std::string& path, const std::string& bytes);

}  // namespace tigerbot
