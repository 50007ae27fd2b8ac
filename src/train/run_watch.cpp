// What people see of a run: events, validation, samples, the report.

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/logging.h"
#include "base/text.h"
#include "base/version.h"
#include "infer/engine.h"
#include "train/html_report.h"
#include "train/run.h"

namespace tigerbot::train {

void Run::note(const std::string& what) {
  log_warning("step {}: {}", step_, what);
  metrics_->add(step_, "event", {{"what", what}});
}

void Run::validate() {
  if (validation_.empty() || validated_step_ == step_) return;
  validated_step_ = step_;
  Json line = {{"loss", Json::object()}};
  std::map<std::string, EvaluationCount> languages;
  EvaluationCount all;
  for (const LoadedValidation& set : validation_) {
    const EvaluationResult result = evaluate_rows(
        *model_, set.rows, std::max<std::int64_t>(2048, recipe_.data.sequence_length));
    line["loss"][set.name] = result.total.loss();
    if (set.kind == "next_token") {
      line["next_token_accuracy"][set.name] = result.total.accuracy();
      for (const auto& [source, count] : result.by_source) {
        line["next_token_accuracy"][source] = count.accuracy();
      }
    } else {
      all.add(result.total);
    }
    if (result.by_source.size() > 1) {
      for (const auto& [source, count] : result.by_source) {
        line["loss_by_source"][source] = count.loss();
      }
    }
    for (const auto& [language, count] : result.by_language) languages[language].add(count);
  }
  for (const auto& [language, count] : languages) line["loss_by_language"][language] = count.loss();
  if (all.tokens > 0) validation_loss_ = all.loss();
  if (validation_loss_) line["mean_loss"] = *validation_loss_;
  metrics_->add(step_, "validation", line);
}

void Run::sample() {
  if (recipe_.samples.prompts.empty()) return;
  std::optional<ChatTemplate> chat_template;
  if (!recipe_.samples.raw && !parts_.files.chat_template.empty()) {
    chat_template.emplace(parts_.files.chat_template);
  }
  std::vector<std::string> texts(recipe_.samples.prompts.size());
  EngineOptions options;
  options.cache_tokens = 0;
  std::vector<GenerationRequest> requests;
  for (const std::string& prompt : recipe_.samples.prompts) {
    GenerationRequest request;
    if (chat_template) {
      ChatTemplate::Inputs inputs;
      inputs.messages = nlohmann::ordered_json::array({{{"role", "user"}, {"content", prompt}}});
      inputs.bos_token = parts_.files.bos_token;
      inputs.eos_token = parts_.files.eos_token;
      request.prompt =
          parts_.tokenizer->encode(chat_template->render(inputs),
                                   {.add_special_tokens = false, .parse_special_tokens = true});
    } else {
      request.prompt = parts_.tokenizer->encode(prompt);
    }
    request.max_new_tokens = recipe_.samples.max_new_tokens;
    request.stop_token_ids = parts_.files.eos_token_ids;
    if (parts_.tokenizer->eos_id) request.stop_token_ids.push_back(*parts_.tokenizer->eos_id);
    options.cache_tokens +=
        static_cast<std::int64_t>(request.prompt.size()) + request.max_new_tokens + 64;
    requests.push_back(std::move(request));
  }
  Engine engine(*model_, *parts_.tokenizer, options);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    engine.submit(std::move(requests[i]),
                  [&texts, i](const GenerationUpdate& update) { texts[i] += update.text; });
  }
  engine.run();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    metrics_->add(step_, "sample", {{"prompt", recipe_.samples.prompts[i]}, {"text", texts[i]}});
  }
}

void Run::write_report() {
  ReportContents contents;
  contents.title = recipe_.name;
  contents.summary = {
      {"objective", objective_->name()},
      {"step", fmt::format("{} of {}", step_, total_steps_)},
      {"tokens", format_count(static_cast<std::uint64_t>(tokens_))},
      {"loss", loss_},
      {"skipped steps", guard_.skipped()},
      {"parameters trained",
       format_count(static_cast<std::uint64_t>(count_elements(optimizer_->parameters())))},
      {"model", parts_.files.path.string()},
      {"tokenizer", parts_.tokenizer_hash}};
  contents.manifest = objective_->manifest();
  contents.recipe = recipe_.text;
  contents.versions = {{"tigerbot", std::string(version())}, {"commit", std::string(git_commit())}};
  contents.metrics = metrics_->lines();
  write_file(recipe_.output / "report.html", html_report(contents));
}

}  // namespace tigerbot::train
