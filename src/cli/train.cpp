#include <ATen/Parallel.h>

#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "parallel/communicator.h"
#include "train/recipe.h"
#include "train/trainer.h"

namespace tigerbot {

namespace {

struct TrainOptions {
  std::string recipe;
  int threads = 0;
  bool dry_run = false;
  bool json = false;
};

std::string bytes_of(const Json& value) { return format_bytes(value.get<std::uint64_t>()); }

std::string time_of(const Json& plan) {
  if (plan["seconds"].is_null()) return "not measured";
  return fmt::format("about {}, at {:.3g} s a step as measured here",
                     format_duration(plan["seconds"].get<double>()),
                     plan["step_seconds"].get<double>());
}

void print_plan(const Json& plan) {
  const Json& memory = plan["memory"];
  std::printf("%s",
              fmt::format("objective           {}\n"
                          "parameters          {}, {} of them trained\n"
                          "memory              about {}: weights {}, optimizer {}, gradients {}, "
                          "activations {}; {} are free\n"
                          "steps               {} of {} tokens, {} of them warm-up\n"
                          "tokens              {}\n"
                          "dense products      {:.0f} GFLOP/s measured here\n"
                          "time                {}\n",
                          plan["objective"].get<std::string>(),
                          format_count(plan["parameters"].get<std::uint64_t>()),
                          format_count(plan["trained_parameters"].get<std::uint64_t>()),
                          bytes_of(memory["total"]), bytes_of(memory["weights"]),
                          bytes_of(memory["optimizer"]), bytes_of(memory["gradients"]),
                          bytes_of(memory["activations"]), bytes_of(memory["available"]),
                          format_count(plan["steps"].get<std::uint64_t>()),
                          format_count(plan["tokens_per_step"].get<std::uint64_t>()),
                          format_count(plan["warmup_steps"].get<std::uint64_t>()),
                          format_count(plan["tokens"].get<std::uint64_t>()),
                          plan["dense_peak"].get<double>() / 1e9, time_of(plan))
                  .c_str());
}

void run(const TrainOptions& options) {
  if (options.threads < 0 || options.threads > 1024) fail("--threads must be from 1 to 1024");
  if (options.threads > 0) at::set_num_threads(options.threads);
  const train::Recipe recipe = train::read_recipe(options.recipe);
  Communicator& group = world();
  if (options.dry_run) {
    const Json plan = train::plan_run(recipe, group);
    if (options.json) {
      print_json(nlohmann::ordered_json::parse(plan.dump()));
    } else {
      print_plan(plan);
    }
    return;
  }
  const train::TrainResult result = train::train(recipe, group);
  if (options.json) {
    print_json({{"steps", result.steps},
                {"tokens", result.tokens},
                {"loss", result.loss},
                {"skipped_steps", result.skipped_steps},
                {"model", result.model.string()}});
  } else {
    std::printf("%s\n",
                fmt::format("{} steps, {} tokens, last loss {:.4f}; the model is {}", result.steps,
                            format_count(static_cast<std::uint64_t>(result.tokens)), result.loss,
                            result.model.string())
                    .c_str());
  }
}

}  // namespace

void add_train_command(CLI::App& app) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App& command =
      *app.add_subcommand("train", "Pretrain or fine-tune a model as a recipe says");
  command.add_option("RECIPE", options->recipe, "A TOML file; docs/training.md explains it")
      ->required();
  command.add_flag("--dry-run", options->dry_run,
                   "Read and check everything, and say what it would take");
  command.add_option("--threads", options->threads, "Processor threads (default: one a core)");
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer(
      "A run that was stopped goes on from its last checkpoint when the command is given again.\n"
      "Example:\n  tigerbot train recipes/sft.toml --dry-run\n  tigerbot train recipes/sft.toml");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
