#include <unistd.h>

#include <CLI/App.hpp>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "infer/conversation.h"

namespace tigerbot {

namespace {

struct ChatOptions {
  ModelOptions model;
  SamplingFlags sampling;
  EngineFlags engine;
  std::string system;
};

std::atomic<bool> interrupted{false};

void on_interrupt(int) { interrupted.store(true); }

/// One line from the terminal. Nothing at its end, or after Ctrl-C (then `interrupted` is set).
std::optional<std::string> read_line() {
  std::string line;
  while (true) {
    char c = 0;
    const ssize_t count = read(STDIN_FILENO, &c, 1);
    if (count < 0 && errno == EINTR) {
      if (interrupted.load()) return std::nullopt;
      continue;
    }
    if (count <= 0) return line.empty() ? std::nullopt : std::optional(line);
    if (c == '\n') return line;
    line += c;
  }
}

constexpr const char* kHelp =
    "/system TEXT   set the system message and begin anew\n"
    "/reset         begin anew\n"
    "/save FILE     write the conversation as JSON\n"
    "/exit          leave (so does Ctrl-D); Ctrl-C stops an answer\n";

void save(const Conversation& conversation, const std::string& file) {
  if (file.empty()) fail("/save needs a file name");
  const nlohmann::ordered_json document = {{"messages", messages_json(conversation.messages())}};
  write_file(expand_home(file),
             document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  std::printf("saved %zu messages to %s\n", conversation.messages().size(), file.c_str());
}

/// Obeys a line that begins with "/"; false to leave.
bool obey(Conversation& conversation, const std::string& line) {
  const std::size_t space = line.find(' ');
  const std::string command = line.substr(0, space);
  const std::string rest =
      space == std::string::npos ? "" : std::string(trim(std::string_view(line).substr(space)));
  if (command == "/exit" || command == "/quit") return false;
  if (command == "/reset") {
    conversation.reset();
    std::puts("(a new conversation)");
  } else if (command == "/system") {
    conversation.set_system(rest);
    std::puts(rest.empty() ? "(no system message)"
                           : "(a new conversation with this system message)");
  } else if (command == "/save") {
    save(conversation, rest);
  } else if (command == "/help") {
    std::fputs(kHelp, stdout);
  } else {
    fail("{} is not a command; /help lists them", quote(command));
  }
  return true;
}

void answer(Conversation& conversation, const std::string& line) {
  interrupted.store(false);
  const Conversation::Answer answer = conversation.ask(
      line,
      [](std::string_view text) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
      },
      interrupted);
  std::fputs("\n", stdout);
  if (answer.reason == FinishReason::kLength) std::puts("(cut: --max-new-tokens or the context)");
  if (answer.reason == FinishReason::kCancelled) std::puts("(stopped)");
  if (answer.forgotten > 0) {
    std::printf("(the first %zu messages no longer fit into the context)\n", answer.forgotten);
  }
  interrupted.store(false);
}

void run(const ChatOptions& options) {
  const EngineOptions engine = options.engine.options();
  LanguageModel model(options.model.prepare(), options.model.parsed_dtype(),
                      options.model.parsed_device());
  model.chat_template();  // that it is there is known before the first question
  Conversation conversation(model, options.sampling.request(model), engine);
  conversation.set_system(options.system);
  struct sigaction action = {};
  action.sa_handler = on_interrupt;  // no SA_RESTART: reading a line is interrupted too
  sigaction(SIGINT, &action, nullptr);
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal) {
    std::printf("%s. /help lists the commands, Ctrl-D leaves.\n", options.model.model.c_str());
  }
  while (true) {
    if (terminal) {
      std::fputs("\n> ", stdout);
      std::fflush(stdout);
    }
    const std::optional<std::string> line = read_line();
    if (!line) {
      if (!interrupted.exchange(false)) break;
      std::puts("\n(Ctrl-D or /exit leaves)");
      continue;
    }
    const std::string text(trim(*line));
    if (text.empty()) continue;
    try {
      if (text.front() != '/') {
        answer(conversation, text);
      } else if (!obey(conversation, text)) {
        break;
      }
    } catch (const Error& error) {
      // A mistake ends a line, not the conversation.
      std::fprintf(stderr, "tigerbot: %s\n", error.what());
    }
  }
  if (terminal) std::fputs("\n", stdout);
}

}  // namespace

void add_chat_command(CLI::App& app) {
  auto options = std::make_shared<ChatOptions>();
  CLI::App& command = *app.add_subcommand("chat", "Talk with a model in the terminal");
  options->model.add(command);
  command.add_option("--system", options->system, "The system message");
  options->sampling.add(command);
  options->engine.add(command);
  command.footer("Example:\n  tigerbot chat smollm2-135m-instruct --system \"Answer briefly.\"");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
