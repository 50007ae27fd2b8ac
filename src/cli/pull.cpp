#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "weights/hub/models.h"

namespace tigerbot {

void add_pull_command(CLI::App& app) {
  struct Options {
    std::string name;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("pull", "Fetch a model into the cache folder");
  command
      .add_option("NAME", options->name,
                  "smollm2-135m-instruct, all-minilm-l6-v2, or hf:OWNER/NAME[@REVISION]")
      ->required();
  command.footer(
      "Goes on where an earlier download ended, and checks every file. $HF_TOKEN gives access to\n"
      "what needs it, $HF_ENDPOINT names another hub, $TIGERBOT_CACHE another cache folder.\n"
      "Example:\n  tigerbot pull smollm2-135m-instruct");
  command.callback([options] { std::printf("%s\n", pull_model(options->name).string().c_str()); });
}

void add_models_command(CLI::App& app) {
  struct Options {
    std::string remove;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("models", "List the fetched models, or remove one");
  command.add_option("--remove", options->remove, "Remove the model of this name");
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer("Example:\n  tigerbot models --remove hf:OWNER/NAME");
  command.callback([options] {
    if (!options->remove.empty()) {
      const std::uint64_t freed = remove_model(options->remove);
      if (options->json) {
        print_json({{"removed", options->remove}, {"bytes", freed}});
      } else {
        std::printf("removed %s (%s)\n", options->remove.c_str(), format_bytes(freed).c_str());
      }
      return;
    }
    const std::vector<CachedModel> models = list_models();
    if (options->json) {
      auto list = nlohmann::ordered_json::array();
      for (const CachedModel& model : models) {
        list.push_back(
            {{"name", model.name}, {"path", model.path.string()}, {"bytes", model.bytes}});
      }
      print_json({{"models", list}});
      return;
    }
    if (models.empty())
      std::puts("no models yet; `tigerbot pull smollm2-135m-instruct` fetches one");
    for (const CachedModel& model : models) {
      std::printf("%-32s %10s  %s\n", model.name.c_str(), format_bytes(model.bytes).c_str(),
                  model.path.string().c_str());
    }
  });
}

}  // namespace tigerbot
