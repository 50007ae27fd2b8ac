#include <CLI/App.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "data/pipeline/build.h"
#include "data/report/text_report.h"
#include "data/tasks.h"
#include "weights/hub/models.h"
#include "weights/tokenizer_files.h"

namespace tigerbot {
namespace {

struct DataBuildOptions {
  std::string recipe;
  std::optional<int> threads;
  bool json = false;
};

void run(const DataBuildOptions& options, Communicator& communicator) {
  data::Recipe recipe;
  data::run_together(communicator, [&] { recipe = data::read_recipe(options.recipe); });
  if (options.threads) {
    if (*options.threads < 1 || *options.threads > 1024) fail("--threads must be from 1 to 1024");
    recipe.run.threads = *options.threads;
  }
  data::BuildOptions build;
  build.open_tokenizer = [](const std::string& name) {
    return open_tokenizer(resolve_model(name));
  };
  build.tokenizer_stamp = [](const std::string& name) {
    return tokenizer_stamp(resolve_model(name));
  };
  const data::BuildResult result = data::build(recipe, build, communicator);
  if (communicator.rank() != 0) return;
  if (options.json) {
    print_json({{"up_to_date", result.up_to_date},
                {"output", recipe.run.output.string()},
                {"report", nlohmann::ordered_json(result.report)}});
    return;
  }
  if (result.up_to_date)
    std::printf("%s: nothing has changed since the last run; nothing to do\n",
                recipe.run.output.c_str());
  std::fputs(data::text_report(result.report).c_str(), stdout);
  std::printf("report: %s\n", (recipe.run.output / "report.html").c_str());
}

}  // namespace

void add_data_build_command(CLI::App& data) {
  auto options = std::make_shared<DataBuildOptions>();
  CLI::App& command =
      *data.add_subcommand("build", "From raw text to a clean, deduplicated, documented mixture");
  command.add_option("RECIPE", options->recipe, "A TOML file; docs/data.md explains every key")
      ->required();
  command.add_option("--threads", options->threads,
                     "Of each rank (default: run.threads, else one a core)");
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer(
      "A run that was stopped goes on where it was when it is started again; the output is the "
      "same bytes.\n"
      "Over several processes or machines: mpirun -n 8 tigerbot data build RECIPE.toml\n"
      "Example:\n  tigerbot data build recipes/data.toml");
  command.callback([options] {
    Communicator& communicator = world();
    try {
      run(*options, communicator);
    } catch (const Error& error) {
      // All ranks have the same error; one of them says it.
      if (communicator.rank() != 0) std::exit(error.exit_status());
      throw;
    }
  });
}

}  // namespace tigerbot
