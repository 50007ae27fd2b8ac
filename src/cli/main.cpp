#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Error.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/commands.h"
#include "ops/cpu/allocator.h"
#include "ops/cpu/isa.h"

namespace {

std::string version_text() {
  return fmt::format("tigerbot {} ({})\nLibTorch {}\nprocessor: {}, LibTorch uses {}",
                     tigerbot::version(), tigerbot::git_commit(), TORCH_VERSION,
                     tigerbot::cpu::isa_name(tigerbot::cpu::best_isa()), at::get_cpu_capability());
}

/// What was printed must have arrived: a report cut short by a full disk is no success.
void check_output() {
  std::cout.flush();  // CLI11 prints --help there
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout) {
    tigerbot::fail("the output can't be written to stdout; is the disk full?");
  }
}

/// The subcommand that the command line chose, as deep as it goes.
const CLI::App* chosen(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return command;
}

/// What was wrong with the command line, in one line, with the nearest right word.
std::string explain(const CLI::App& app, const CLI::ParseError& error,
                    const std::string& first_word) {
  const CLI::App* command = chosen(app);
  std::string message = error.what();
  if (const std::size_t end = message.find('\n'); end != std::string::npos) message.resize(end);
  std::vector<std::string> names;
  for (const CLI::Option* option : command->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  // The word that did not fit: what CLI11 has left over, or the first one where a command belongs.
  std::string word;
  if (const auto* extras = dynamic_cast<const CLI::ExtrasError*>(&error); extras != nullptr) {
    const std::size_t colon = message.rfind(": ");
    const std::string rest = colon == std::string::npos ? "" : message.substr(colon + 2);
    for (const std::string_view left : tigerbot::split(rest, ' ')) {
      if (word.empty() || (left.starts_with("-") && !word.starts_with("-"))) word = left;
    }
  } else if (command == &app) {
    word = first_word;
  }
  word = word.substr(0, word.find('='));
  if (!word.empty()) {
    message = (word.starts_with("-") ? "unknown option "
               : command == &app     ? "unknown command "
                                     : "unexpected word ") +
              tigerbot::quote(word) + tigerbot::did_you_mean(word, names);
  }
  std::string path;
  for (const CLI::App* at = command; at->get_parent() != nullptr; at = at->get_parent()) {
    path = at->get_name() + " " + path;
  }
  return fmt::format("{}{}{}; see `tigerbot {}--help`",
                     path.empty() ? "" : path.substr(0, path.size() - 1), path.empty() ? "" : ": ",
                     message, path);
}

std::string check_command(const std::vector<std::string>& arguments);

/// The whole command line.
void describe(CLI::App& app) {
  app.description("TigerBot: language models from raw text to a served assistant");
  app.name("tigerbot");
  app.set_version_flag("--version", version_text);
  app.require_subcommand(1);
  app.option_defaults()->always_capture_default(false);
  tigerbot::add_generate_command(app);
  tigerbot::add_chat_command(app);
  tigerbot::add_serve_command(app);
  tigerbot::add_embed_command(app);
  tigerbot::add_eval_command(app);
  tigerbot::add_data_command(app);
  tigerbot::add_train_command(app);
  tigerbot::add_quantize_command(app);
  tigerbot::add_tokenizer_command(app);
  tigerbot::add_pull_command(app);
  tigerbot::add_models_command(app);
  tigerbot::add_inspect_command(app);
  tigerbot::add_convert_command(app);
  tigerbot::add_bench_command(app);
  tigerbot::add_run_command(app, check_command);
  app.footer("`tigerbot COMMAND --help` shows the options of a command, with an example.");
}

/// Ends a reading of a command line that is not to be run.
struct ReadToTheEnd {};

/// What is wrong with arguments as a command of this program; "" if nothing is.
std::string check_command(const std::vector<std::string>& arguments) {
  CLI::App app;
  describe(app);
  // Called when every option is read and before a command begins. (Taking the commands' own
  // callbacks away would free the structs that their options are read into.)
  app.parse_complete_callback([] { throw ReadToTheEnd{}; });
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const ReadToTheEnd&) {
    return "";
  } catch (const CLI::ParseError& error) {
    return explain(app, error, arguments.empty() ? "" : arguments.front());
  }
  return "";
}

int run(int argc, char** argv) {
  CLI::App app;
  describe(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    const int status = app.exit(success);  // --help and --version
    check_output();
    return status;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "tigerbot: %s\n", explain(app, error, argc > 1 ? argv[1] : "").c_str());
    return 2;
  }
  check_output();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // A file past the limit on its size (ulimit -f) is an error to report, not a signal to die of.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    tigerbot::cpu::install_tensor_allocator();
    return run(argc, argv);
  } catch (const tigerbot::Error& error) {
    std::fprintf(stderr, "tigerbot: %s\n", error.what());
    return error.exit_status();
  } catch (const std::filesystem::filesystem_error& error) {
    std::fprintf(stderr, "tigerbot: %s: %s\n", error.path1().c_str(),
                 error.code().message().c_str());
    return 2;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "tigerbot: out of memory\n");
  } catch (const std::exception& error) {
    // LibTorch's messages go on with a trace that means nothing to a user.
    const std::string message = error.what();
    std::fprintf(stderr, "tigerbot: %s\n", message.substr(0, message.find('\n')).c_str());
  }
  return 1;
}
