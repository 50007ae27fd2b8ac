#include "weights/inspect.h"

#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/options.h"
#include "weights/hub/models.h"

namespace tigerbot {

void add_inspect_command(CLI::App& app) {
  struct Options {
    std::string path;
    bool tensors = false;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("inspect", "Show what is in a model");
  command
      .add_option("PATH", options->path,
                  "A Hugging Face directory, a .gguf or .safetensors file, or a fetched model")
      ->required();
  command.add_flag("--tensors", options->tensors, "One line for each tensor");
  command.add_flag("--json", options->json, "One JSON object on stdout, tensors included");
  command.footer("Example:\n  tigerbot inspect smollm2-135m-instruct --tensors");
  command.callback([options] {
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
