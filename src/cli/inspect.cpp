#include "weights/inspect.h"

#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/options.h"
#include "data/shards/inspect_shard.h"
#include "weights/hub/models.h"

namespace tigerbot {

void add_inspect_command(CLI::App& app) {
  struct Options {
    std::string path;
    bool tensors = false;
    bool json = false;
    bool checksums = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("inspect", "Show what is in a model or a token shard");
  command
      .add_option(
          "PATH", options->path,
          "A Hugging Face directory, a .gguf or .safetensors file, a fetched model, or a token "
          "shard (its prefix, .bin or .idx)")
      ->required();
  command.add_flag("--tensors", options->tensors, "One line for each tensor");
  command.add_flag("--json", options->json, "One JSON object on stdout, tensors included");
  command.add_flag("--checksums", options->checksums,
                   "Token shards: compare the files with the manifest's checksums");
  command.footer(
      "Example:\n  tigerbot inspect smollm2-135m-instruct --tensors\n"
      "  tigerbot inspect shards/train --checksums");
  command.callback([options] {
    if (data::is_shard(options->path)) {
      const Json shard = data::inspect_shard(options->path, options->checksums);
      std::fputs(
          (options->json ? shard.dump() + "\n" : data::format_shard_inspection(shard)).c_str(),
          stdout);
      return;
    }
    const bool file = std::filesystem::exists(options->path);
    const Json inspection =
        inspect_path(file ? std::filesystem::path(options->path) : resolve_model(options->path));
    if (options->json) {
      std::printf("%s\n", inspection.dump().c_str());
    } else {
      std::fputs(format_inspection(inspection, options->tensors).c_str(), stdout);
    }
  });
}

}  // namespace tigerbot
