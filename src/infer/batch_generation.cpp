#include "infer/batch_generation.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/text.h"

namespace tigerbot {

namespace {

struct Row {
  nlohmann::ordered_json fields;
  std::vector<TokenId> prompt;
  std::string text;
  GenerationUpdate last;
};

std::vector<Row> read_rows(const LanguageModel& model, const BatchOptions& options) {
  const std::string bytes = read_file(options.input);
  std::vector<Row> rows;
  std::size_t number = 0;
  for (const std::string_view line : split(bytes, '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    const std::string place = fmt::format("{}:{}", options.input.string(), number);
    parse_json(line, place);  // checks depth and duplicate keys, and names what is wrong
    Row row;
    row.fields = nlohmann::ordered_json::parse(line);
    if (!row.fields.is_object()) fail("{}: a row must be an object", place);
    const bool has_prompt = row.fields.contains("prompt");
    if (has_prompt == row.fields.contains("messages")) {
      fail("{}: a row needs \"prompt\" or \"messages\"", place);
    }
    if (has_prompt && !row.fields["prompt"].is_string()) {
      fail("{}: \"prompt\" must be a string", place);
    }
    if (!has_prompt && !row.fields["messages"].is_array()) {
      fail("{}: \"messages\" must be a list of objects with \"role\" and \"content\"", place);
    }
    try {
      if (!has_prompt) {
        row.prompt = model.encode_chat(row.fields["messages"]);
      } else if (options.raw) {
        row.prompt = model.encode_text(row.fields["prompt"].get<std::string>());
      } else {
        std::vector<ChatMessage> messages;
        if (!options.system.empty()) messages.push_back({"system", options.system});
        messages.push_back({"user", row.fields["prompt"].get<std::string>()});
        row.prompt = model.encode_chat(messages_json(messages));
      }
    } catch (const Error& error) {
      throw Error(place + ": " + error.what(), error.kind());
    }
    const std::int64_t context = context_length(model.files().config, options.engine);
    const auto tokens = static_cast<std::int64_t>(row.prompt.size());
    if (tokens == 0) fail("{}: the prompt has no tokens", place);
    if (context > 0 && tokens >= context) {
      fail("{}: the prompt has {} tokens and the model's context is {}", place, tokens, context);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

BatchResult generate_batch(LanguageModel& model, const BatchOptions& options) {
  std::vector<Row> rows = read_rows(model, options);
  AtomicFile output(options.output);
  BatchResult result;
  result.requests = static_cast<std::int64_t>(rows.size());
  if (rows.empty()) {
    output.commit();
    return result;
  }

  // Room for the largest sequences, so many at a time as asked for.
  std::vector<std::int64_t> needs;
  for (const Row& row : rows) {
    std::int64_t need =
        static_cast<std::int64_t>(row.prompt.size()) + options.request.max_new_tokens;
    if (const std::int64_t context = context_length(model.files().config, options.engine);
        context > 0) {
      need = std::min(need, context);
    }
    needs.push_back(need);
  }
  std::sort(needs.rbegin(), needs.rend());
  EngineOptions engine_options = options.engine;
  engine_options.cache_tokens = 0;
  for (std::size_t i = 0;
       i < needs.size() && static_cast<std::int64_t>(i) < engine_options.max_sequences; ++i) {
    engine_options.cache_tokens += (needs[i] + engine_options.block_size - 1) /
                                   engine_options.block_size * engine_options.block_size;
  }

  const auto start = std::chrono::steady_clock::now();
  Progress progress("generate", rows.size(), {.unit_name = "answers"});
  Engine engine(model.decoder(), model.tokenizer(), engine_options);
  for (Row& row : rows) {
    GenerationRequest request = options.request;
    request.prompt = row.prompt;
    request.sampling.stream = static_cast<std::uint64_t>(&row - rows.data());
    request.stop_token_ids = model.stop_token_ids();
    engine.submit(std::move(request), [&row, &progress](const GenerationUpdate& update) {
      row.text += update.text;
      if (!update.finished) return;
      row.last = update;
      progress.advance();
    });
  }
  engine.run();
  progress.finish();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  for (Row& row : rows) {
    row.fields["text"] = row.text;
    row.fields["finish_reason"] = finish_reason_name(row.last.reason);
    if (!row.last.error.empty()) row.fields["error"] = row.last.error;
    row.fields["prompt_tokens"] = row.last.prompt_tokens;
    row.fields["new_tokens"] = row.last.new_tokens;
    output.write(row.fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    output.write("\n");
    result.prompt_tokens += row.last.prompt_tokens;
    result.new_tokens += row.last.new_tokens;
  }
  output.commit();
  return result;
}

}  // namespace tigerbot
