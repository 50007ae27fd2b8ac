#include "infer/language_model.h"

#include <algorithm>

#include "base/error.h"

namespace tigerbot {

std::optional<at::ScalarType> parse_dtype(const std::string& name) {
  if (name == "auto") return std::nullopt;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float32") return at::kFloat;
  fail("--dtype: \"{}\" is not one of auto, bfloat16, float32", name);
}

at::ScalarType default_dtype(const ModelFiles& files) {
  for (const StoredTensor& tensor : files.tensors->tensors()) {
    if (tensor.quantized || tensor.shape.size() < 2) continue;
    return tensor.type == "F32" || tensor.type == "F64" ? at::kFloat : at::kBFloat16;
  }
  return at::kBFloat16;
}

nlohmann::ordered_json messages_json(const std::vector<ChatMessage>& messages) {
  auto list = nlohmann::ordered_json::array();
  for (const ChatMessage& message : messages) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  return list;
}

LanguageModel::LanguageModel(const std::filesystem::path& path, std::optional<at::ScalarType> dtype,
                             at::Device device)
    : files_(open_model(path)), dtype_(dtype.value_or(default_dtype(files_))) {
  if (files_.config.family == ModelConfig::Family::kBert) {
    fail("{}: an encoder ({}) can't generate; use `tigerbot embed`", path.string(),
         files_.config.model_type);
  }
  decoder_ =
      make_decoder(files_.config, files_.source(dtype_), dtype_, device, files_.quantized_source());
  tokenizer_ = files_.load_tokenizer();
  if (tokenizer_->size() > files_.config.vocab_size) {
    fail("{}: the tokenizer has {} pieces but the model only {}", path.string(), tokenizer_->size(),
         files_.config.vocab_size);
  }
  if (!files_.chat_template.empty()) {
    try {
      chat_template_.emplace(files_.chat_template);
    } catch (const Error& error) {
      template_error_ = error.what();  // matters to those who need the template
    }
  }
  stop_token_ids_ = files_.eos_token_ids;
  if (stop_token_ids_.empty() && tokenizer_->eos_id) {
    stop_token_ids_.push_back(*tokenizer_->eos_id);
  }
}

const ChatTemplate& LanguageModel::chat_template() const {
  const std::string where = files_.path.string();
  if (!template_error_.empty()) fail("{}: {}", where, template_error_);
  if (!chat_template_) {
    fail("{}: the model has no chat template; give the prompt as it stands with --raw", where);
  }
  return *chat_template_;
}

std::vector<TokenId> LanguageModel::encode_chat(const nlohmann::ordered_json& messages) const {
  const ChatTemplate& chat = chat_template();
  ChatTemplate::Inputs inputs;
  inputs.messages = messages;
  inputs.bos_token = files_.bos_token;
  inputs.eos_token = files_.eos_token;
  std::string prompt;
  try {
    prompt = chat.render(inputs);
  } catch (const Error& error) {
    fail("{}: {}", files_.path.string(), error.what());
  }
  // The template writes the special tokens itself.
  return tokenizer_->encode(prompt, {.add_special_tokens = false, .parse_special_tokens = true});
}

std::vector<TokenId> LanguageModel::encode_text(const std::string& text) const {
  return tokenizer_->encode(text);
}

ConstraintCompiler& LanguageModel::constraints() {
  const std::scoped_lock lock(constraints_mutex_);
  if (!constraints_) {
    constraints_ = std::make_unique<ConstraintCompiler>(*tokenizer_, stop_token_ids_);
  }
  return *constraints_;
}

SamplingOptions LanguageModel::default_sampling() const {
  SamplingOptions options;
  const GenerationDefaults& defaults = files_.generation;
  if (defaults.do_sample.value_or(false)) {
    options.temperature = defaults.temperature.value_or(1.0);
    options.top_k = defaults.top_k.value_or(0);
    options.top_p = defaults.top_p.value_or(1.0);
    options.min_p = defaults.min_p.value_or(0.0);
  }
  options.repetition_penalty = defaults.repetition_penalty.value_or(1.0);
  return options;
}

}  // namespace tigerbot
