#include <CLI/App.hpp>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/tokenizer_commands.h"
#include "weights/hub/models.h"
#include "weights/tokenizer_files.h"

namespace tigerbot {

namespace {

struct TokenizerOptions {
  std::string model;
  bool lines = false;
  bool no_special_tokens = false;
};

void print_ids(const std::vector<TokenId>& ids) {
  std::string text = "[";
  for (std::size_t i = 0; i < ids.size(); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ", ids[i]);
  }
  text += "]\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void encode(const TokenizerOptions& options) {
  const auto tokenizer = open_tokenizer(resolve_model(options.model));
  const Tokenizer::EncodeOptions encode_options{.add_special_tokens = !options.no_special_tokens,
                                                .parse_special_tokens = true};
  if (options.lines) {
    std::string line;
    while (std::getline(std::cin, line)) print_ids(tokenizer->encode(line, encode_options));
  } else {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    print_ids(tokenizer->encode(text, encode_options));
  }
}

/// The text of one JSON array of ids; `place` names it in errors.
std::string decode_array(const Tokenizer& tokenizer, const std::string& text,
                         const std::string& place, bool skip_special_tokens) {
  const Json array = parse_json(text, place);
  if (!array.is_array()) fail("{}: expected a JSON array of token ids", place);
  std::vector<TokenId> ids;
  for (const Json& item : array) {
    if (!item.is_number_integer() || item < 0 || item >= tokenizer.size()) {
      fail("{}: {} is not a token id (0 to {})", place, item.dump(), tokenizer.size() - 1);
    }
    ids.push_back(item.get<TokenId>());
  }
  return tokenizer.decode(ids, skip_special_tokens);
}

void decode(const TokenizerOptions& options) {
  const auto tokenizer = open_tokenizer(resolve_model(options.model));
  if (options.lines) {
    std::string line;
    std::size_t number = 0;
    while (std::getline(std::cin, line)) {
      const std::string text = decode_array(*tokenizer, line, fmt::format("stdin:{}", ++number),
                                            options.no_special_tokens);
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fputc('\n', stdout);
    }
  } else {
    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    const std::string text = decode_array(*tokenizer, input, "stdin", options.no_special_tokens);
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
}

}  // namespace

void add_tokenizer_command(CLI::App& app) {
  CLI::App& command =
      *app.add_subcommand("tokenizer", "Text to token ids and back; train, extend and compare");
  command.require_subcommand(1);
  command.footer("Example:\n  echo \"Hello\" | tigerbot tokenizer encode smollm2-135m-instruct");
  const auto add = [&](const char* name, const char* description, const char* special,
                       const char* example, void (*run)(const TokenizerOptions&)) {
    auto options = std::make_shared<TokenizerOptions>();
    CLI::App& step = *command.add_subcommand(name, description);
    step.add_option(
            "MODEL", options->model,
            "A Hugging Face directory, a tokenizer.json, .model or .gguf file, or a name that "
            "`tigerbot pull` knows")
        ->required();
    step.add_flag("--lines", options->lines, "One array for each line");
    step.add_flag("--no-special-tokens", options->no_special_tokens, special);
    step.footer(example);
    step.callback([options, run] { run(*options); });
  };
  add("encode", "Read text on stdin, print one JSON array of ids",
      "Add no beginning or end of sequence",
      "Example:\n  echo \"Hello\" | tigerbot tokenizer encode smollm2-135m-instruct", encode);
  add("decode", "Read a JSON array of ids on stdin, print the text", "Leave special tokens out",
      "Example:\n  echo \"[19556]\" | tigerbot tokenizer decode smollm2-135m-instruct", decode);
  add_tokenizer_train_command(command);
  add_tokenizer_extend_command(command);
  add_tokenizer_report_command(command);
}

}  // namespace tigerbot
