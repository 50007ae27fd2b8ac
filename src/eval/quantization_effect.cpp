#include "eval/quantization_effect.h"

#include <ATen/Parallel.h>

#include "base/error.h"
#include "base/files.h"
#include "data/text_sample.h"
#include "eval/comparison.h"
#include "infer/language_model.h"
#include "infer/speed.h"
#include "weights/model_files.h"

namespace tigerbot {
namespace {

constexpr std::int64_t kPromptTokens = 256;
constexpr std::int64_t kNewTokens = 32;
constexpr std::int64_t kRepetitions = 3;

Json speed_of(const std::filesystem::path& path) {
  LanguageModel model(path, std::nullopt, at::kCPU);
  Decoder& decoder = model.decoder();
  return {
      {"prefill_tokens_per_second",
       measure_prefill(decoder, kPromptTokens, kPromptTokens, kRepetitions).median()},
      {"decode_tokens_per_second", measure_decode(decoder, kNewTokens, 1, kRepetitions).median()}};
}

}  // namespace

void check_quantization_effect(const std::filesystem::path& before,
                               const QuantizationEffectOptions& options) {
  if (options.texts.empty()) return;
  const std::int64_t limit = context_length(open_model(before).config);
  if (options.context < 2 || (limit > 0 && options.context > limit)) {
    fail("--evaluation-context {}: from 2 to the model's context, {}", options.context, limit);
  }
  if (options.bytes_per_language < 256) fail("--evaluation-bytes must be at least 256");
  for (const data::SampleInput& input : data::find_sample_inputs(options.texts)) {
    size_of_file(input.file);
  }
}

Json quantization_effect(const std::filesystem::path& before, const std::filesystem::path& after,
                         const QuantizationEffectOptions& options) {
  Json effect = Json::object();
  if (!options.texts.empty()) {
    ComparisonOptions comparison;
    comparison.texts = options.texts;
    comparison.bytes_per_language = options.bytes_per_language;
    comparison.context = options.context;
    const Json compared = compare_models({{"before", before}, {"after", after}}, comparison);
    effect["context"] = options.context;
    for (const auto& [language, about] : compared["languages"].items()) {
      Json& figures = effect["languages"][language];
      figures["bytes"] = about["bytes"];
      for (const Json& model : compared["models"]) {
        const Json& measured = model["languages"][language];
        figures[model["name"].get<std::string>()] = {
            {"perplexity", measured["perplexity"]},
            {"next_token_accuracy", measured["next_token_accuracy"]}};
      }
    }
  }
  if (options.speed) {
    effect["speed"] = {{"threads", at::get_num_threads()}, {"prompt_tokens", kPromptTokens},
                       {"new_tokens", kNewTokens},         {"repetitions", kRepetitions},
                       {"before", speed_of(before)},       {"after", speed_of(after)}};
  }
  return effect;
}

}  // namespace tigerbot
