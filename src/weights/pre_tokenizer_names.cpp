#include "weights/pre_tokenizer_names.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/error.h"
#include "base/text.h"

namespace tigerbot {
namespace {

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBloomPattern = R"( ?[^(\s|[.,!?…。，、।۔،])]+)";

struct Form {
  std::span<const std::string_view> names;  // the first is the one we write
  std::string_view pattern;                 // split by it; empty: by GPT-2's own
  bool digits = false;                      // each digit is a word
  bool nfc = false;
  bool ignore_merges = false;
};

constexpr std::string_view kSmolLm[] = {"smollm", "starcoder", "refact", "command-r", "codeshell"};
constexpr std::string_view kGpt2[] = {"gpt-2", "phi-2", "olmo", "mpt", "jina-es", "jina-de"};
constexpr std::string_view kLlama3[] = {"llama-bpe", "llama3", "llama-v3"};
constexpr std::string_view kQwen2[] = {"qwen2", "deepseek-r1-qwen"};
constexpr std::string_view kBloom[] = {"bloom"};

constexpr std::array<Form, 5> kForms = {{
    {kSmolLm, "", true, false, false},
    {kGpt2, "", false, false, false},
    {kLlama3, kLlama3Pattern, false, false, true},
    {kQwen2, kQwen2Pattern, false, true, false},
    {kBloom, kBloomPattern, false, false, false},
}};

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json pre_tokenizer_json(const Form& form) {
  Json steps = Json::array();
  if (form.digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  if (!form.pattern.empty()) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", form.pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back(byte_level(form.pattern.empty()));
  if (steps.size() == 1) return steps[0];
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

// The steps without what does not change ids.
Json steps_of(const Json& pre_tokenizer) {
  Json steps = Json::array();
  if (!pre_tokenizer.is_object()) return steps;
  const auto add = [&](Json step) {
    if (step.is_object()) step.erase("trim_offsets");
    if (step.is_object() && step.value("type", Json()) == "ByteLevel" &&
        !step.contains("use_regex")) {
      step["use_regex"] = true;
    }
    steps.push_back(std::move(step));
  };
  if (pre_tokenizer.value("type", Json()) == "Sequence" &&
      pre_tokenizer.contains("pretokenizers") && pre_tokenizer["pretokenizers"].is_array()) {
    for (const Json& step : pre_tokenizer["pretokenizers"]) add(step);
  } else {
    add(pre_tokenizer);
  }
  return steps;
}

}  // namespace

PreTokenizerForm pre_tokenizer_form(std::string_view pre, const std::string& path) {
  for (const Form& form : kForms) {
    if (std::ranges::find(form.names, pre) == form.names.end()) continue;
    PreTokenizerForm result;
    if (form.nfc) result.normalizer = {{"type", "NFC"}};
    result.pre_tokenizer = pre_tokenizer_json(form);
    result.ignore_merges = form.ignore_merges;
    return result;
  }
  fail("{}: the pre-tokenizer {} is not known here; smollm, gpt-2, llama-bpe, qwen2 and bloom are",
       path, quote(pre));
}

std::string detect_pre_tokenizer(const Json& tokenizer_json, const std::string& path) {
  const Json wanted =
      steps_of(tokenizer_json.contains("pre_tokenizer") ? tokenizer_json["pre_tokenizer"] : Json());
  for (const Form& form : kForms) {
    if (steps_of(pre_tokenizer_json(form)) == wanted) return std::string(form.names.front());
  }
  fail(
      "{}: llama.cpp has no name that we know for this pre-tokenizer, so no GGUF can be written; "
      "those of SmolLM, GPT-2, Llama 3, Qwen2 and BLOOM are known",
      path);
}

}  // namespace tigerbot
