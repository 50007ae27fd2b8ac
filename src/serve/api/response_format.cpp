#include "serve/api/response_format.h"

#include <map>

#include "base/utf8.h"
#include "base/version.h"
#include "serve/api/token_text.h"
#include "serve/request_id.h"

namespace tigerbot::serve {

namespace {

std::string dump(const OrderedJson& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

OrderedJson usage_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

OrderedJson finish_json(const std::string& reason) {
  if (reason.empty()) return nullptr;
  return reason;
}

OrderedJson bytes_json(const std::string& bytes) {
  auto list = OrderedJson::array();
  for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
  return list;
}

/// JSON knows no infinity: what the model finds impossible is as unlikely as OpenAI says it.
double finite(float logprob) { return logprob < -9999.0F ? -9999.0 : logprob; }

class Format : public ResponseFormat {
 public:
  explicit Format(const ResponseHead& head) : head_(head) {}

 protected:
  OrderedJson object(const char* kind) const {
    return {{"id", head_.id},
            {"object", kind},
            {"created", head_.created},
            {"model", head_.model},
            {"system_fingerprint", system_fingerprint()}};
  }

  std::string token_text(TokenId id) const { return token_bytes(*head_.tokenizer, id); }

  ResponseHead head_;
};

class ChatFormat : public Format {
 public:
  using Format::Format;

  std::string chunk(const ChoiceNews& news) override {
    OrderedJson delta = OrderedJson::object();
    if (news.first) {
      delta["role"] = "assistant";
      delta["content"] = "";
      delta["refusal"] = nullptr;
    }
    if (!news.text.empty()) delta["content"] = news.text;
    if (!news.calls.empty()) {
      delta["tool_calls"] = calls_json(news.calls, news.first_call, /*with_index=*/true);
    }
    OrderedJson choice = {{"index", news.index},
                          {"delta", delta},
                          {"logprobs", logprobs_json(news.logprobs)},
                          {"finish_reason", finish_json(news.finish_reason)}};
    OrderedJson chunk = object("chat.completion.chunk");
    chunk["choices"] = OrderedJson::array({choice});
    if (head_.include_usage) chunk["usage"] = nullptr;
    return dump(chunk);
  }

  std::string usage_chunk(const Usage& usage) override {
    OrderedJson chunk = object("chat.completion.chunk");
    chunk["choices"] = OrderedJson::array();
    chunk["usage"] = usage_json(usage);
    return dump(chunk);
  }

  std::string whole(const std::vector<ChoiceNews>& choices, const Usage& usage) override {
    OrderedJson answer = object("chat.completion");
    answer["choices"] = OrderedJson::array();
    for (const ChoiceNews& news : choices) {
      OrderedJson message = {{"role", "assistant"}, {"content", news.text}, {"refusal", nullptr}};
      if (!news.calls.empty()) {
        if (news.text.empty()) message["content"] = nullptr;
        message["tool_calls"] = calls_json(news.calls, 0, /*with_index=*/false);
      }
      answer["choices"].push_back({{"index", news.index},
                                   {"message", message},
                                   {"logprobs", logprobs_json(news.logprobs)},
                                   {"finish_reason", finish_json(news.finish_reason)}});
    }
    answer["usage"] = usage_json(usage);
    return dump(answer);
  }

 private:
  static OrderedJson calls_json(const std::vector<ToolCall>& calls, std::int64_t first,
                                bool with_index) {
    auto list = OrderedJson::array();
    for (const ToolCall& call : calls) {
      OrderedJson entry = OrderedJson::object();
      if (with_index) entry["index"] = first++;
      entry["id"] = make_id("call_");
      entry["type"] = "function";
      entry["function"] = {{"name", call.name}, {"arguments", call.arguments}};
      list.push_back(std::move(entry));
    }
    return list;
  }

  OrderedJson logprobs_json(const std::vector<TokenLogprobs>& tokens) const {
    if (!head_.logprobs) return nullptr;
    const auto entry = [&](TokenId id, float logprob) {
      const std::string bytes = token_text(id);
      return OrderedJson{{"token", replace_invalid_utf8(bytes)},
                         {"logprob", finite(logprob)},
                         {"bytes", bytes_json(bytes)}};
    };
    auto content = OrderedJson::array();
    for (const TokenLogprobs& token : tokens) {
      OrderedJson one = entry(token.token, token.logprob);
      one["top_logprobs"] = OrderedJson::array();
      for (const auto& [id, logprob] : token.top) one["top_logprobs"].push_back(entry(id, logprob));
      content.push_back(std::move(one));
    }
    return {{"content", content}, {"refusal", nullptr}};
  }
};

class TextFormat : public Format {
 public:
  TextFormat(const ResponseHead& head, std::vector<std::string> prefixes)
      : Format(head), prefixes_(std::move(prefixes)) {}

  std::string chunk(const ChoiceNews& news) override {
    OrderedJson chunk = object("text_completion");
    chunk["choices"] = OrderedJson::array({choice_json(news)});
    if (head_.include_usage) chunk["usage"] = nullptr;
    return dump(chunk);
  }

  std::string usage_chunk(const Usage& usage) override {
    OrderedJson chunk = object("text_completion");
    chunk["choices"] = OrderedJson::array();
    chunk["usage"] = usage_json(usage);
    return dump(chunk);
  }

  std::string whole(const std::vector<ChoiceNews>& choices, const Usage& usage) override {
    OrderedJson answer = object("text_completion");
    answer["choices"] = OrderedJson::array();
    for (const ChoiceNews& news : choices) answer["choices"].push_back(choice_json(news));
    answer["usage"] = usage_json(usage);
    return dump(answer);
  }

 private:
  OrderedJson choice_json(const ChoiceNews& news) {
    std::string text = news.text;
    if (news.first && !prefixes_.empty()) {
      const std::string& prefix = prefixes_[static_cast<std::size_t>(news.index)];
      text = prefix + text;
      offsets_[news.index] = static_cast<std::int64_t>(decode_utf8(prefix).size());
    }
    return {{"text", text},
            {"index", news.index},
            {"logprobs", logprobs_json(news)},
            {"finish_reason", finish_json(news.finish_reason)}};
  }

  OrderedJson logprobs_json(const ChoiceNews& news) {
    if (!head_.logprobs) return nullptr;
    auto tokens = OrderedJson::array();
    auto logprobs = OrderedJson::array();
    auto tops = OrderedJson::array();
    auto offsets = OrderedJson::array();
    std::int64_t& offset = offsets_[news.index];
    for (const TokenLogprobs& token : news.logprobs) {
      const std::string bytes = token_text(token.token);
      tokens.push_back(replace_invalid_utf8(bytes));
      logprobs.push_back(finite(token.logprob));
      OrderedJson top = OrderedJson::object();
      for (const auto& [id, logprob] : token.top) {
        // Pieces that are no whole characters look alike: the likeliest one stands for them.
        const std::string key = replace_invalid_utf8(token_text(id));
        if (!top.contains(key)) top[key] = finite(logprob);
      }
      tops.push_back(std::move(top));
      offsets.push_back(offset);
      // Characters begin with a byte that goes on none.
      for (const char c : bytes) offset += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }
    return {{"tokens", tokens},
            {"token_logprobs", logprobs},
            {"top_logprobs", tops},
            {"text_offset", offsets}};
  }

  std::vector<std::string> prefixes_;
  std::map<std::int64_t, std::int64_t> offsets_;
};

}  // namespace

const std::string& system_fingerprint() {
  static const std::string text = "tigerbot-" + std::string(git_commit());
  return text;
}

std::unique_ptr<ResponseFormat> make_chat_format(const ResponseHead& head) {
  return std::make_unique<ChatFormat>(head);
}

std::unique_ptr<ResponseFormat> make_text_format(const ResponseHead& head,
                                                 std::vector<std::string> prefixes) {
  return std::make_unique<TextFormat>(head, std::move(prefixes));
}

}  // namespace tigerbot::serve
