#include <ctime>

#include "serve/api/chat_messages.h"
#include "serve/constraints.h"
#include "serve/request_id.h"
#include "serve/service.h"

namespace tigerbot::serve {

namespace {

constexpr std::size_t kMaxPrompts = 64;
/// As many tokens as OpenAI's API gives a completion that names no limit.
constexpr std::int64_t kDefaultCompletionTokens = 16;

void refuse_foreign(Fields& fields) {
  fields.refuse("audio", "the model makes no sound");
  fields.refuse("functions", "use 'tools'");
  fields.refuse("function_call", "use 'tool_choice'");
  fields.refuse("metadata", "answers are not stored here");
  fields.refuse("moderation", "answers are not moderated here");
  fields.refuse("prediction", "there is no predicted output here");
  fields.refuse("prompt_cache_key", "prompts that begin alike are found by their tokens");
  fields.refuse("prompt_cache_options", "the cache has no options by request");
  fields.refuse("prompt_cache_retention", "the cache keeps what there is room for");
  fields.refuse("reasoning_effort", "the model has no levels of it");
  fields.refuse("safety_identifier", "use 'user'");
  fields.refuse("verbosity", "the model has no levels of it");
  fields.refuse("web_search_options", "the model searches nothing");
  if (fields.boolean("store").value_or(false)) {
    refuse_unsupported("store", "answers are not stored here");
  }
  const std::string tier = fields.text("service_tier").value_or("auto");
  if (tier != "auto" && tier != "default") {
    refuse_unsupported("service_tier", "there is one tier, \"default\"");
  }
  if (const OrderedJson* modalities = fields.find("modalities")) {
    if (*modalities != OrderedJson::array({"text"})) {
      refuse_unsupported("modalities", "the model makes text only, [\"text\"]");
    }
  }
}

ResponseHead response_head(const char* prefix, const std::string& model,
                           const GenerationFields& fields, const ServingModel& serving) {
  ResponseHead head;
  head.id = make_id(prefix);
  head.created = std::time(nullptr);
  head.model = model;
  head.include_usage = fields.include_usage;
  head.logprobs = fields.request.logprobs.has_value();
  head.tokenizer = &serving.tokenizer();
  return head;
}

std::vector<TokenId> read_token_prompt(const OrderedJson& ids, std::int64_t vocabulary) {
  std::vector<TokenId> tokens;
  for (const OrderedJson& id : ids) {
    if (!id.is_number_integer() || id.get<double>() < 0 ||
        id.get<double>() >= static_cast<double>(vocabulary)) {
      refuse_parameter("prompt", "'prompt' has something that is no token id below {}", vocabulary);
    }
    tokens.push_back(id.get<TokenId>());
  }
  return tokens;
}

/// The prompts of a text completion: a text, texts, ids, or arrays of ids.
std::vector<std::vector<TokenId>> read_prompts(const OrderedJson& prompt,
                                               const ServingModel& model) {
  const auto encode = [&](const OrderedJson& text) {
    return model.tokenizer().encode(text.get<std::string>());
  };
  std::vector<std::vector<TokenId>> prompts;
  if (prompt.is_string()) {
    prompts.push_back(encode(prompt));
  } else if (prompt.is_array() && !prompt.empty()) {
    if (prompt.front().is_number()) {
      prompts.push_back(read_token_prompt(prompt, model.limits().vocab_size));
    } else {
      if (prompt.size() > kMaxPrompts) {
        refuse_parameter("prompt", "'prompt' may be {} prompts at most", kMaxPrompts);
      }
      for (const OrderedJson& one : prompt) {
        if (one.is_string()) {
          prompts.push_back(encode(one));
        } else if (one.is_array()) {
          prompts.push_back(read_token_prompt(one, model.limits().vocab_size));
        } else {
          refuse_parameter("prompt", "'prompt' must hold strings or arrays of token ids");
        }
      }
    }
  } else {
    refuse_parameter("prompt",
                     "'prompt' must be a string, an array of strings, or token ids, not {}",
                     prompt.is_array() ? "an empty array" : kind_of(prompt));
  }
  for (const auto& tokens : prompts) {
    if (tokens.empty()) refuse_parameter("prompt", "'prompt' must not be empty");
  }
  return prompts;
}

}  // namespace

Reply Service::generate(const HttpRequest& request, const std::shared_ptr<ServingModel>& model,
                        GenerationAnswerOptions options, std::unique_ptr<ResponseFormat> format,
                        std::shared_ptr<AnswerSummary> summary) {
  const std::shared_ptr<ApiKey> key = key_of(request);
  summary->key = key ? key->name() : "";
  for (GenerationRequest& one : options.requests) {
    // Whose turn it is: keys share the engine evenly, and the users that a key names.
    const std::string owner = key ? key->name() : request.client;
    one.client = one.client.empty() ? owner : owner + "/" + one.client;
    model->checks().check(one);
  }
  options.received = request.received;
  options.keep_text = options_.log_prompts;
  return std::make_unique<GenerationAnswer>(model, std::move(options), std::move(format), key,
                                            std::move(summary));
}

Reply Service::chat_completions(const HttpRequest& request) {
  const OrderedJson body = parse_body(request.body);
  Fields fields(body);
  const std::shared_ptr<ServingModel> found = find_model(fields);
  ServingModel& model = *found;
  GenerationFields generation = read_generation_fields(fields, model.limits());
  refuse_foreign(fields);

  OrderedJson messages = read_chat_messages(fields.get("messages"));
  OrderedJson tools;
  if (const OrderedJson* value = fields.find("tools")) tools = read_tools(*value);
  const ToolChoice choice = read_tool_choice(fields, tools);
  const OrderedJson* parallel = fields.find("parallel_tool_calls");
  if (parallel != nullptr && (tools.is_null() || tools.empty())) {
    refuse_parameter("parallel_tool_calls", "'parallel_tool_calls' needs 'tools'");
  }
  const bool parallel_calls = fields.boolean("parallel_tool_calls").value_or(true);
  GenerationRequest& wanted = generation.request;
  wanted.constraint = response_constraint(fields, model);
  if (auto constraint = tool_constraint(choice, tools, model)) {
    if (wanted.constraint) {
      refuse_parameter("response_format", "'response_format' and a forced call exclude each other");
    }
    wanted.constraint = std::move(constraint);
  }

  const auto old_limit = read_token_limit(fields, "max_tokens");
  const auto limit = read_token_limit(fields, "max_completion_tokens");
  if (old_limit && limit && *old_limit != *limit) {
    refuse_parameter("max_tokens", "'max_tokens' and 'max_completion_tokens' say different things");
  }
  generation.max_new_tokens_given = limit || old_limit;
  if (generation.max_new_tokens_given) wanted.max_new_tokens = limit ? *limit : *old_limit;

  const bool logprobs = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, 20);
  if (top && !logprobs) refuse_parameter("top_logprobs", "'top_logprobs' needs 'logprobs': true");
  if (logprobs) wanted.logprobs = top.value_or(0);

  OrderedJson variables;
  if (const OrderedJson* value = fields.find("chat_template_kwargs")) {
    Fields(*value, "chat_template_kwargs");
    variables = *value;
  }
  const bool add_prompt = fields.boolean("add_generation_prompt").value_or(true);
  fields.finish();

  GenerationAnswerOptions options;
  const bool with_tools = choice.kind != ToolChoice::Kind::kNone;
  if (with_tools) {
    const bool forced = choice.kind != ToolChoice::Kind::kAuto;
    // A forced call is the whole answer, without tags.
    options.tools = forced ? ToolFormat::kBareJson : model.tool_template().format;
    options.parallel_calls = parallel_calls;
    if (!model.tool_template().reads_tools) messages = describe_tools(std::move(messages), tools);
  }
  wanted.prompt =
      model.encode_chat(messages, with_tools ? tools : OrderedJson(), variables, add_prompt);
  if (with_tools && choice.kind != ToolChoice::Kind::kAuto &&
      model.tool_template().format == ToolFormat::kTagged) {
    // A call is what the model expects to write after this.
    model.tokenizer().encode("<tool_call>\n", {.add_special_tokens = false}, wanted.prompt);
  }
  fit_to_context(generation, model.limits(), 0, "messages");

  auto summary = summarize(request, model.name());
  if (options_.log_prompts) summary->prompt = messages.dump();
  auto format = make_chat_format(response_head("chatcmpl-", model.name(), generation, model));
  options.stream = generation.stream;
  options.include_usage = generation.include_usage;
  options.requests.push_back(std::move(wanted));
  return generate(request, found, std::move(options), std::move(format), std::move(summary));
}

Reply Service::completions(const HttpRequest& request) {
  const OrderedJson body = parse_body(request.body);
  Fields fields(body);
  const std::shared_ptr<ServingModel> found = find_model(fields);
  ServingModel& model = *found;
  GenerationFields generation = read_generation_fields(fields, model.limits());
  const std::vector<std::vector<TokenId>> prompts = read_prompts(fields.get("prompt"), model);
  generation.request.constraint = response_constraint(fields, model);
  fields.refuse("suffix", "the model fills nothing in");
  const auto best_of = fields.integer("best_of", 1, model.limits().max_choices);
  if (best_of && *best_of != generation.request.n) {
    refuse_unsupported("best_of", "it must equal 'n'; all answers are given");
  }
  const auto limit = read_token_limit(fields, "max_tokens");
  generation.max_new_tokens_given = limit.has_value();
  if (limit) generation.request.max_new_tokens = *limit;
  generation.request.logprobs = fields.integer("logprobs", 0, 20);
  const bool echo = fields.boolean("echo").value_or(false);
  if (echo && generation.request.logprobs) {
    refuse_unsupported("echo", "with 'logprobs' the prompt's own would be needed");
  }
  fields.finish();

  GenerationAnswerOptions options;
  options.stream = generation.stream;
  options.include_usage = generation.include_usage;
  std::vector<std::string> echoes;
  for (const std::vector<TokenId>& prompt : prompts) {
    GenerationFields one = generation;
    one.request.prompt = prompt;
    fit_to_context(one, model.limits(), kDefaultCompletionTokens, "prompt");
    for (std::int64_t i = 0; echo && i < one.request.n; ++i) {
      echoes.push_back(model.tokenizer().decode(prompt, /*skip_special_tokens=*/true));
    }
    options.requests.push_back(std::move(one.request));
  }
  auto summary = summarize(request, model.name());
  if (options_.log_prompts) summary->prompt = body["prompt"].dump();
  auto format =
      make_text_format(response_head("cmpl-", model.name(), generation, model), std::move(echoes));
  return generate(request, found, std::move(options), std::move(format), std::move(summary));
}

}  // namespace tigerbot::serve
