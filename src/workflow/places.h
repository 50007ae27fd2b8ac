#pragma once

#include <filesystem>
#include <string>

namespace tigerbot::workflow {

/// Where a run keeps things, below the recipe's `output`:
///
///   NAME/result/      what stage NAME made       NAME/stage.json   how, from what, at what cost
///   NAME/recipe.toml  its own recipe             NAME/log.txt, NAME/printed.txt   what it said
///   .work/NAME-KEY/   the same of a stage that is not done
///   run.log, report.html, report.json
struct Places {
  std::filesystem::path output;

  std::filesystem::path stage(const std::string& name) const { return output / name; }
  std::filesystem::path result(const std::string& name) const { return stage(name) / "result"; }
  std::filesystem::path record(const std::string& name) const { return stage(name) / "stage.json"; }
  std::filesystem::path work() const { return output / ".work"; }
  std::filesystem::path work(const std::string& name, const std::string& key) const {
    return work() / (name + "-" + key.substr(0, 16));
  }
  std::filesystem::path digests() const { return output / ".work" / "digests.json"; }
  std::filesystem::path log() const { return output / "run.log"; }
};

}  // namespace tigerbot::workflow
