#include "workflow/run.h"

#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "workflow/places.h"
#include "workflow/plan.h"

namespace tigerbot {
namespace {

struct RunCommandOptions {
  std::string recipe;
  std::vector<std::string> settings;
  workflow::RunOptions run;
  bool dry_run = false, json = false;
};

void run(const RunCommandOptions& options, const workflow::CommandCheck& check) {
  const workflow::Recipe recipe = workflow::read_recipe(options.recipe, options.settings);
  if (options.dry_run) {
    const Json plan = workflow::plan(recipe, options.run, check);
    if (options.json) {
      print_json(nlohmann::ordered_json::parse(plan.dump()));
    } else {
      std::fputs(workflow::plan_text(plan).c_str(), stdout);
    }
    return;
  }
  const Json report = workflow::run(recipe, options.run);
  if (options.json) {
    print_json(nlohmann::ordered_json::parse(report.dump()));
  } else {
    for (const workflow::Stage& stage : recipe.stages) {
      const auto printed = workflow::Places{recipe.output}.stage(stage.name) / "printed.txt";
      if (!stage.is_result || !std::filesystem::exists(printed)) continue;
      std::fputs((read_file(printed) + "\n").c_str(), stdout);
    }
    std::printf("report: %s\n", (recipe.output / "report.html").c_str());
  }
}

}  // namespace

void add_run_command(CLI::App& app, const workflow::CommandCheck& check) {
  auto options = std::make_shared<RunCommandOptions>();
  CLI::App& command = *app.add_subcommand("run", "A whole chain of stages, from text to a model");
  command.add_option("RECIPE", options->recipe, "A TOML file; docs/recipes.md explains it")
      ->required();
  command.add_option("--set", options->settings, "NAME=VALUE: another value of a variable")
      ->allow_extra_args(false);
  command.add_option("--from", options->run.from, "Run this stage and all after it again");
  command.add_option("--only", options->run.only, "Run this stage again, and no other")
      ->allow_extra_args(false);
  command.add_flag("--dry-run", options->dry_run,
                   "Check everything, and say what would run, why, and what it takes");
  command.add_flag("!--no-serve", options->run.serve, "Leave the server at the end out");
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer(
      "A stage runs again only if something that it depends on changed. A run that was stopped "
      "goes on\nwhere it was when the same command is given again.\n"
      "Example:\n  tigerbot run recipes/tigerbot-mini.toml --dry-run\n"
      "  tigerbot run recipes/tigerbot-mini.toml --set pretrain_tokens=500000");
  command.callback([options, check] { run(*options, check); });
}

}  // namespace tigerbot
