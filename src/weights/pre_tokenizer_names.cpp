#include "weights/pre_tokenizer_names.h"

#include "base/error.h"
#include "tokenizer/gguf_pre_tokenizers.h"

namespace tigerbot {
namespace {

// One name for each form that gguf_pre_tokenizer() knows.
constexpr const char* kNames[] = {
    "gpt-2", "mpt",    "smollm", "command-r",      "llama-bpe",    "dbrx",        "qwen2", "qwen35",
    "bloom", "gpt-4o", "tekken", "deepseek-coder", "deepseek-llm", "deepseek-v3", "falcon"};

// The steps without what does not change ids.
Json steps_of(const Json& pre_tokenizer) {
  Json steps = Json::array();
  if (!pre_tokenizer.is_object()) return steps;
  const auto add = [&](Json step) {
    if (step.is_object()) {
      step.erase("trim_offsets");
      if (step.value("type", Json()) == "ByteLevel" && !step.contains("use_regex")) {
        step["use_regex"] = true;
      }
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

Json part(const Json& json, const char* key) { return json.contains(key) ? json[key] : Json(); }

}  // namespace

std::string detect_pre_tokenizer(const Json& tokenizer_json, const std::string& path) {
  const Json wanted = steps_of(part(tokenizer_json, "pre_tokenizer"));
  const bool ignore_merges = part(part(tokenizer_json, "model"), "ignore_merges") == true;
  const Json normalizer = part(tokenizer_json, "normalizer");
  std::string found;
  for (const char* name : kNames) {
    const GgufPreTokenizer form = gguf_pre_tokenizer(name, path);
    if (steps_of(Json::parse(form.pre_tokenizer)) != wanted) continue;
    if (form.ignore_merges != ignore_merges) continue;
    // llama.cpp itself normalizes nothing here, so the normalizer only chooses between names.
    if (Json::parse(form.normalizer) == normalizer) return name;
    if (found.empty()) found = name;
  }
  if (!found.empty()) return found;
  fail("{}: llama.cpp has no name that we know for this pre-tokenizer, so no GGUF can be written",
       path);
}

}  // namespace tigerbot
