#include "serve/serving_model.h"

#include <ctime>

#include "base/error.h"
#include "serve/api/error.h"

namespace tigerbot::serve {

ServingModel::ServingModel(const ModelEntry& entry, const ServingModelOptions& options)
    : name_(entry.name),
      model_(std::make_unique<LanguageModel>(entry.path, options.dtype, options.device)),
      created_(std::time(nullptr)),
      parent_(entry.parent) {
  if (!entry.adapter.empty()) {
    adapter_ = train::LoraAdapters::load(model_->decoder(), entry.adapter);
  }
  engine_ = std::make_unique<Engine>(model_->decoder(), model_->tokenizer(), options.engine);
  limits_.vocab_size = model_->files().config.vocab_size;
  limits_.context_length = engine_->context();
  limits_.max_new_tokens = options.max_new_tokens;
  limits_.max_choices = options.engine.max_sequences;
  limits_.default_sampling = model_->default_sampling();
  const GenerationDefaults& defaults = model_->files().generation;
  if (!defaults.do_sample) limits_.default_sampling.temperature = 1.0;  // as OpenAI's API
  if (options.temperature) limits_.default_sampling.temperature = *options.temperature;
  if (options.top_p) limits_.default_sampling.top_p = *options.top_p;
  limits_.stop_token_ids = model_->stop_token_ids();
  tool_template_ = find_tool_template(model_->files().chat_template);
  thread_ = std::make_unique<EngineThread>(*engine_);
}

void ServingModel::warm_up() {
  GenerationRequest request;
  request.prompt = {0};
  request.max_new_tokens = 2;
  request.client = "warm-up";
  request.counted = false;
  thread_->submit(std::move(request), [](const GenerationUpdate&) {});
}

std::vector<TokenId> ServingModel::encode_chat(const OrderedJson& messages,
                                               const OrderedJson& tools,
                                               const OrderedJson& variables,
                                               bool add_generation_prompt) const {
  ChatTemplate::Inputs inputs;
  inputs.messages = messages;
  inputs.tools = tools;
  inputs.add_generation_prompt = add_generation_prompt;
  inputs.bos_token = model_->files().bos_token;
  inputs.eos_token = model_->files().eos_token;
  if (variables.is_object()) {
    for (const auto& [name, value] : variables.items()) inputs.variables.emplace_back(name, value);
  }
  std::string prompt;
  try {
    prompt = model_->chat_template().render(inputs);
  } catch (const Error& error) {
    throw ApiError(
        400, "invalid_request_error",
        fmt::format("the model's chat template refuses these messages: {}", error.what()),
        "messages");
  }
  // The template writes the special tokens itself.
  return tokenizer().encode(prompt, {.add_special_tokens = false, .parse_special_tokens = true});
}

}  // namespace tigerbot::serve
