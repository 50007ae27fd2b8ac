#include <CLI/App.hpp>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>

#include "base/error.h"
#include "cli/answer_format_flags.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "infer/batch_generation.h"

namespace tigerbot {

namespace {

struct GenerateOptions {
  ModelOptions model;
  SamplingFlags sampling;
  EngineFlags engine;
  AnswerFormatFlags format;
  std::string prompt;
  std::string system;
  std::string input;
  std::string output;
  std::int64_t batch = 32;
  bool raw = false;
  bool json = false;
};

/// The prompt as given; "-" reads it from stdin.
std::string read_prompt(const std::string& prompt) {
  if (prompt != "-") return prompt;
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

GenerationRequest make_request(LanguageModel& model, const GenerateOptions& options,
                               const std::optional<AnswerFormat>& format) {
  GenerationRequest request = options.sampling.request(model);
  if (format) request.constraint = model.constraints().compile(*format);
  return request;
}

void generate_one(LanguageModel& model, const GenerateOptions& options, GenerationRequest request) {
  const std::string prompt = read_prompt(options.prompt);
  if (options.raw) {
    request.prompt = model.encode_text(prompt);
  } else {
    std::vector<ChatMessage> messages;
    if (!options.system.empty()) messages.push_back({"system", options.system});
    messages.push_back({"user", prompt});
    request.prompt = model.encode_chat(messages_json(messages));
  }
  request.stop_token_ids = model.stop_token_ids();
  EngineOptions engine_options = options.engine.options();
  engine_options.cache_tokens =
      static_cast<std::int64_t>(request.prompt.size()) + request.max_new_tokens;
  if (const std::int64_t context = context_length(model.files().config, engine_options);
      context > 0) {
    engine_options.cache_tokens = std::min(engine_options.cache_tokens, context);
  }
  Engine engine(model.decoder(), model.tokenizer(), engine_options);
  std::string text;
  GenerationUpdate last;
  engine.submit(std::move(request), [&](const GenerationUpdate& update) {
    text += update.text;
    last = update;
    if (options.json) return;
    std::fwrite(update.text.data(), 1, update.text.size(), stdout);
    std::fflush(stdout);
  });
  engine.run();
  if (last.reason == FinishReason::kError) {
    if (!options.json && !text.empty()) std::fputs("\n", stdout);
    fail_internal("the answer ended early: {}", last.error);
  }
  if (options.json) {
    print_json({{"text", text},
                {"finish_reason", finish_reason_name(last.reason)},
                {"prompt_tokens", last.prompt_tokens},
                {"new_tokens", last.new_tokens}});
  } else {
    std::fputs("\n", stdout);
  }
}

void generate_many(LanguageModel& model, const GenerateOptions& options,
                   GenerationRequest request) {
  if (options.output.empty()) fail("--input needs --output, the file that takes the answers");
  if (options.batch < 1) fail("--batch-size must be at least 1");
  BatchOptions batch;
  batch.input = options.input;
  batch.output = options.output;
  batch.request = std::move(request);
  batch.system = options.system;
  batch.raw = options.raw;
  batch.engine = options.engine.options();
  batch.engine.max_sequences = options.batch;
  const BatchResult result = generate_batch(model, batch);
  if (options.json) {
    print_json({{"requests", result.requests},
                {"prompt_tokens", result.prompt_tokens},
                {"new_tokens", result.new_tokens},
                {"seconds", result.seconds}});
  } else {
    std::fprintf(
        stderr, "%s\n",
        fmt::format("{} answers, {} new tokens in {:.1f} s ({:.0f} tokens/s) -> {}",
                    result.requests, result.new_tokens, result.seconds,
                    static_cast<double>(result.new_tokens) / std::max(result.seconds, 1e-9),
                    options.output)
            .c_str());
  }
}

void run(const GenerateOptions& options) {
  if (options.prompt.empty() == options.input.empty()) {
    fail("generate needs one of --prompt TEXT and --input FILE");
  }
  if (options.input.empty() && !options.output.empty()) {
    fail("--output goes with --input; the answer to --prompt comes on stdout");
  }
  if (options.raw && !options.system.empty()) {
    fail("--raw leaves the chat template out, and --system needs it; give one of them");
  }
  const std::optional<AnswerFormat> format = options.format.format();
  options.engine.options();  // an error of theirs is known before the model is read
  LanguageModel model(options.model.prepare(), options.model.parsed_dtype(),
                      options.model.parsed_device());
  GenerationRequest request = make_request(model, options, format);
  if (options.input.empty()) {
    generate_one(model, options, std::move(request));
  } else {
    generate_many(model, options, std::move(request));
  }
}

}  // namespace

void add_generate_command(CLI::App& app) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App& command = *app.add_subcommand("generate", "Answer a prompt, or a file of prompts");
  options->model.add(command);
  command.add_option("--prompt", options->prompt, "The question; - reads it from stdin");
  command.add_option("--system", options->system, "A system message before each prompt");
  command.add_flag("--raw", options->raw, "Go on from the text, without the chat template");
  command.add_option("--input", options->input,
                     "JSON lines with \"prompt\" or \"messages\", answered many at a time");
  command.add_option("--output", options->output, "Where the answers of --input go");
  command.add_option("--batch-size", options->batch, "Rows of --input at a time")
      ->capture_default_str();
  options->sampling.add(command);
  options->engine.add(command);
  options->format.add(command);
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer(
      "Example:\n  tigerbot generate smollm2-135m-instruct --prompt \"How do I list files in "
      "Linux?\" --temperature 0");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
