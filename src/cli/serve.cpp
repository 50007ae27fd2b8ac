#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "serve/keys.h"
#include "serve/run.h"

namespace tigerbot {

namespace {

struct ServeFlags {
  serve::ServeOptions options;
  std::string config;
  std::string new_key;
  serve::KeyLimits key_limits;
};

void run(ServeFlags& flags, const CLI::App& command) {
  serve::ServeOptions& options = flags.options;
  std::vector<std::string> given;
  if (!options.models.empty()) given.emplace_back("models");
  for (const serve::Setting& setting : serve::settings(options)) {
    if (command.count("--" + setting.name) > 0) given.push_back(setting.name);
  }
  if (!flags.config.empty()) serve::read_config(options, flags.config, given);
  if (!flags.new_key.empty()) {
    if (options.keys.empty()) fail("--new-key needs --keys FILE, the file that takes its hash");
    std::printf("%s\n", serve::add_key(options.keys, flags.new_key, flags.key_limits).c_str());
    return;
  }
  if (flags.key_limits.requests_per_minute != 0 || flags.key_limits.tokens_per_minute != 0) {
    fail("--requests-per-minute and --tokens-per-minute go with --new-key");
  }
  serve::run_server(options);
}

}  // namespace

void add_serve_command(CLI::App& app) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App& command = *app.add_subcommand("serve", "OpenAI's API and a web page");
  command.add_option("MODEL", flags->options.models,
                     "Models, each as MODEL or NAME=MODEL; encoders serve /v1/embeddings");
  command.add_option("--config", flags->config,
                     "TOML with `models` and any option below, with _ for -; flags go before it");
  for (const serve::Setting& setting : serve::settings(flags->options)) {
    const std::string name = "--" + setting.name;
    std::visit(
        [&](auto* value) {
          using T = std::remove_pointer_t<decltype(value)>;
          if constexpr (std::is_same_v<T, bool>) {
            command.add_flag(name, *value, setting.help);
          } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            command.add_option(name, *value, setting.help)->allow_extra_args(false);
          } else {
            command.add_option(name, *value, setting.help)->capture_default_str();
          }
        },
        setting.value);
  }
  command.add_option("--new-key", flags->new_key,
                     "Make an API key of this name, add its hash to --keys, print it and end");
  command
      .add_option("--requests-per-minute", flags->key_limits.requests_per_minute,
                  "What the new key may ask (0: no limit)")
      ->check(CLI::Range(0, 1'000'000'000));
  command
      .add_option("--tokens-per-minute", flags->key_limits.tokens_per_minute,
                  "What the new key may use (0: no limit)")
      ->check(CLI::Range(0, 1'000'000'000));
  command.footer(
      "Example:\n  tigerbot serve smollm2-135m-instruct all-minilm-l6-v2 --port 8080\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"How do I list files?\"}]}'");
  command.callback([flags, command = &command] { run(*flags, *command); });
}

}  // namespace tigerbot
