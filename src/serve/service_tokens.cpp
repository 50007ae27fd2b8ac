#include "base/utf8.h"
#include "serve/api/chat_messages.h"
#include "serve/api/token_text.h"
#include "serve/service.h"

namespace tigerbot::serve {

namespace {

OrderedJson context_json(std::int64_t context) {
  if (context == 0) return nullptr;
  return context;
}

}  // namespace

Reply Service::tokenize(const HttpRequest& request) {
  const OrderedJson body = parse_body(request.body);
  Fields fields(body);
  const auto name = fields.text("model");
  const Tokenizer* tokenizer = nullptr;
  std::shared_ptr<ServingModel> model;
  std::int64_t context = 0;
  for (const auto& embedding : embedding_models_) {
    if (name ? *name == embedding->name() : models_.empty()) {
      tokenizer = &embedding->embedder().tokenizer();
      context = embedding->embedder().max_tokens();
    }
  }
  if (tokenizer == nullptr) {
    model = find_model(fields);
    tokenizer = &model->tokenizer();
    context = model->limits().context_length;
  }
  const auto prompt = fields.text("prompt");
  const OrderedJson* messages = fields.find("messages");
  if (prompt.has_value() == (messages != nullptr)) {
    refuse_parameter("prompt", "give one of 'prompt' and 'messages'");
  }
  const auto special = fields.boolean("add_special_tokens");
  const auto add_prompt = fields.boolean("add_generation_prompt");
  OrderedJson tools;
  if (const OrderedJson* value = fields.find("tools")) tools = read_tools(*value);
  std::vector<TokenId> ids;
  if (prompt) {
    if (add_prompt) refuse_parameter("add_generation_prompt", "it goes with 'messages'");
    if (!tools.is_null()) refuse_parameter("tools", "'tools' goes with 'messages'");
    ids = tokenizer->encode(
        *prompt, {.add_special_tokens = special.value_or(true), .parse_special_tokens = true});
  } else {
    if (!model) refuse_parameter("messages", "this model holds no conversations; give 'prompt'");
    if (special) refuse_parameter("add_special_tokens", "it goes with 'prompt'");
    OrderedJson list = read_chat_messages(*messages);
    if (!tools.is_null() && !model->tool_template().reads_tools) {
      list = describe_tools(std::move(list), tools);
    }
    ids = model->encode_chat(list, tools, nullptr, add_prompt.value_or(true));
  }
  const bool with_text = fields.boolean("return_token_strs").value_or(false);
  fields.finish();
  OrderedJson answer = {
      {"count", ids.size()}, {"max_model_len", context_json(context)}, {"tokens", ids}};
  if (with_text) {
    answer["token_strs"] = OrderedJson::array();
    for (const TokenId id : ids) {
      answer["token_strs"].push_back(replace_invalid_utf8(token_bytes(*tokenizer, id)));
    }
  }
  return json_response(answer);
}

Reply Service::detokenize(const HttpRequest& request) {
  const OrderedJson body = parse_body(request.body);
  Fields fields(body);
  const auto name = fields.text("model");
  const Tokenizer* tokenizer = nullptr;
  for (const auto& embedding : embedding_models_) {
    if (name ? *name == embedding->name() : models_.empty()) {
      tokenizer = &embedding->embedder().tokenizer();
    }
  }
  std::shared_ptr<ServingModel> model;
  if (tokenizer == nullptr) {
    model = find_model(fields);
    tokenizer = &model->tokenizer();
  }
  const OrderedJson& tokens = fields.get("tokens");
  const bool skip = fields.boolean("skip_special_tokens").value_or(false);
  fields.finish();
  if (!tokens.is_array()) refuse_parameter("tokens", "'tokens' must be an array of token ids");
  std::vector<TokenId> ids;
  for (const OrderedJson& token : tokens) {
    if (!token.is_number_integer() || token.get<double>() < 0 ||
        token.get<double>() >= static_cast<double>(tokenizer->size())) {
      refuse_parameter("tokens", "'tokens' has something that is no token id below {}",
                       tokenizer->size());
    }
    ids.push_back(token.get<TokenId>());
  }
  return json_response({{"prompt", tokenizer->decode(ids, skip)}});
}

}  // namespace tigerbot::serve
