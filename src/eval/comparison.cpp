#include "eval/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <thread>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "data/text_sample.h"
#include "eval/perplexity.h"
#include "infer/engine.h"
#include "infer/language_model.h"
#include "tokenizer/report/tokenizer_report.h"

namespace tigerbot {
namespace {

/// The text of each language, from the documents with the lowest hashes.
std::map<std::string, std::string> read_texts(const ComparisonOptions& options) {
  std::map<std::string, std::vector<std::pair<Hash128, std::string>>> documents;
  data::TextSample sample(data::find_sample_inputs(options.texts), {});
  while (auto document = sample.next()) {
    const Hash128 hash = hash128(document->text);
    documents[document->language].emplace_back(hash, std::move(document->text));
  }
  std::map<std::string, std::string> texts;
  for (auto& [language, list] : documents) {
    std::sort(list.begin(), list.end());
    std::string& text = texts[language];
    for (const auto& [hash, one] : list) {
      if (text.size() >= options.bytes_per_language) break;
      text += one + "\n\n";
    }
    if (text.size() > options.bytes_per_language) {
      std::size_t end = options.bytes_per_language;
      while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
      text.resize(end);
    }
  }
  if (texts.empty()) fail("{}: there is no text", fmt::join(options.texts, ", "));
  return texts;
}

TextsByLanguage lines_of(const std::map<std::string, std::string>& texts) {
  TextsByLanguage lines;
  for (const auto& [language, text] : texts) {
    for (const std::string_view line : split(text, '\n')) {
      if (!line.empty()) lines[language].emplace_back(line);
    }
  }
  return lines;
}

/// What the model says to a user's message, or, without a chat template, how it goes on from it.
Json answer(LanguageModel& model, const std::string& prompt, std::int64_t max_new_tokens) {
  GenerationRequest request;
  request.prompt = model.files().chat_template.empty()
                       ? model.encode_text(prompt)
                       : model.encode_chat(messages_json({{"user", prompt}}));
  request.max_new_tokens = max_new_tokens;
  request.stop_token_ids = model.stop_token_ids();
  EngineOptions options;
  options.cache_tokens = static_cast<std::int64_t>(request.prompt.size()) + max_new_tokens + 64;
  Engine engine(model.decoder(), model.tokenizer(), options);
  std::string text;
  FinishReason reason = FinishReason::kStop;
  engine.submit(std::move(request), [&](const GenerationUpdate& update) {
    text += update.text;
    if (update.finished) reason = update.reason;
  });
  engine.run();
  return {{"prompt", prompt},
          {"text", text},
          {"finish_reason", std::string(finish_reason_name(reason))}};
}

Json measure(const ComparedModel& compared, const std::map<std::string, std::string>& texts,
             const ComparisonOptions& options) {
  LanguageModel model(compared.path, std::nullopt, at::kCPU);
  const TokenizerReport tokens =
      make_tokenizer_report(compared.name, model.tokenizer(), lines_of(texts), {},
                            static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  Json languages = Json::object();
  for (const auto& [language, text] : texts) {
    PerplexityOptions windows;
    windows.name = language;
    windows.context = options.context;
    const Perplexity result = measure_perplexity(model, text, windows);
    const double nats = result.nll / static_cast<double>(text.size());
    const LanguageFigures& figures = tokens.languages.at(language);
    languages[language] = {
        {"tokens", figures.tokens},
        {"characters_per_token", figures.characters_per_token()},
        {"characters_per_token_without_ascii", figures.foreign_characters_per_token()},
        {"perplexity", result.perplexity()},
        {"perplexity_per_byte", std::exp(nats)},
        {"bits_per_byte", nats / std::numbers::ln2},
        {"next_token_accuracy", result.next_token_accuracy()}};
  }
  Json answers = Json::array();
  for (const std::string& prompt : options.prompts) {
    answers.push_back(answer(model, prompt, options.max_new_tokens));
  }
  return {{"name", compared.name},
          {"pieces", tokens.pieces},
          {"languages", languages},
          {"answers", answers}};
}

const Json& find_model(const Json& models, const std::string& name) {
  std::vector<std::string> names;
  for (const Json& model : models) {
    if (model["name"] == name) return model;
    names.push_back(model["name"]);
  }
  fail("--against: there is no model {}{}", quote(name), did_you_mean(name, names));
}

}  // namespace

Json compare_models(const std::vector<ComparedModel>& models, const ComparisonOptions& options) {
  if (options.bytes_per_language < 256) fail("--bytes must be at least 256");
  Json names = Json::array();
  for (const ComparedModel& model : models) names.push_back({{"name", model.name}});
  for (const auto& [one, other] : options.pairs) find_model(names, one), find_model(names, other);
  const std::map<std::string, std::string> texts = read_texts(options);
  Json comparison = {{"context", options.context},
                     {"languages", Json::object()},
                     {"models", Json::array()},
                     {"pairs", Json::array()}};
  for (const auto& [language, text] : texts) {
    comparison["languages"][language] = {{"bytes", text.size()}};
  }
  for (const ComparedModel& model : models) {
    comparison["models"].push_back(measure(model, texts, options));
  }
  for (const auto& [one, other] : options.pairs) {
    Json ratios = Json::object();
    for (const auto& [language, text] : texts) {
      const auto value = [&](const std::string& name) {
        return find_model(comparison["models"], name)["languages"][language]["perplexity_per_byte"]
            .get<double>();
      };
      ratios[language] = value(one) / value(other);
    }
    comparison["pairs"].push_back({{"model", one}, {"against", other}, {"ratios", ratios}});
  }
  return comparison;
}

}  // namespace tigerbot
