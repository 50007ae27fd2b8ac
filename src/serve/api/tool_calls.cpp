#include "serve/api/tool_calls.h"

#include <algorithm>

#include "base/text.h"
#include "serve/api/error.h"

namespace tigerbot::serve {

namespace {

constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";

std::optional<ToolCall> one_call(const OrderedJson& value) {
  if (!value.is_object()) return std::nullopt;
  const auto name = value.find("name");
  if (name == value.end() || !name->is_string()) return std::nullopt;
  auto arguments = value.find("arguments");
  if (arguments == value.end()) arguments = value.find("parameters");
  ToolCall call;
  call.name = name->get<std::string>();
  if (arguments == value.end() || arguments->is_null()) {
    call.arguments = "{}";
  } else if (arguments->is_object()) {
    call.arguments = arguments->dump();
  } else {
    return std::nullopt;
  }
  return call;
}

/// The calls that a piece of JSON stands for; none if it is anything else.
std::vector<ToolCall> parse_calls(const std::string& text) {
  OrderedJson value;
  try {
    value = parse_body(text);
  } catch (const ApiError&) {
    return {};
  }
  std::vector<ToolCall> calls;
  if (value.is_array()) {
    for (const OrderedJson& part : value) {
      auto call = one_call(part);
      if (!call) return {};
      calls.push_back(std::move(*call));
    }
  } else if (auto call = one_call(value)) {
    calls.push_back(std::move(*call));
  }
  return calls;
}

/// Bytes at the end of `text` that may be the beginning of `mark`.
std::size_t partial_mark(std::string_view text, std::string_view mark) {
  for (std::size_t n = std::min(mark.size() - 1, text.size()); n > 0; --n) {
    if (text.ends_with(mark.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

ToolTemplate find_tool_template(std::string_view chat_template) {
  ToolTemplate result;
  result.reads_tools = chat_template.find("tools") != std::string_view::npos;
  const bool tagged = chat_template.find(kOpen) != std::string_view::npos;
  const bool bare = chat_template.find("\"parameters\"") != std::string_view::npos;
  result.format =
      result.reads_tools && bare && !tagged ? ToolFormat::kBareJson : ToolFormat::kTagged;
  return result;
}

OrderedJson describe_tools(OrderedJson messages, const OrderedJson& tools) {
  std::string text =
      "You may call functions to help with the user's request. The functions, one a "
      "line:\n<tools>\n";
  for (const OrderedJson& tool : tools) text += tool.dump() + "\n";
  text +=
      "</tools>\nTo call one, answer with a JSON object that has its name and arguments, between "
      "tags:\n<tool_call>\n{\"name\": \"...\", \"arguments\": {...}}\n</tool_call>";
  for (OrderedJson& message : messages) {
    if (!message.contains("tool_calls")) continue;
    auto content = message["content"].get<std::string>();
    for (const OrderedJson& call : message["tool_calls"]) {
      content += fmt::format("{}{}\n{}\n{}", content.empty() ? "" : "\n", kOpen,
                             call["function"].dump(), kClose);
    }
    message["content"] = content;
    message.erase("tool_calls");
  }
  // Such a template knows no tool role either.
  for (OrderedJson& message : messages) {
    if (message["role"] != "tool") continue;
    message["role"] = "user";
    message["content"] =
        fmt::format("<tool_response>\n{}\n</tool_response>", message["content"].get<std::string>());
    message.erase("tool_call_id");
  }
  if (messages.front()["role"] == "system") {
    messages.front()["content"] = messages.front()["content"].get<std::string>() + "\n\n" + text;
  } else {
    messages.insert(messages.begin(), OrderedJson::object({{"role", "system"}, {"content", text}}));
  }
  return messages;
}

ToolCallReader::News ToolCallReader::push(std::string_view text) {
  News news;
  held_ += text;
  if (format_ == ToolFormat::kBareJson) {
    if (!began_) {
      const std::string_view start = trim(held_);
      // May become a call: all of it stays until the end.
      if (start.empty() || start.front() == '{' || start.front() == '[') return news;
      began_ = true;
    }
    news.text = std::exchange(held_, {});
    return news;
  }
  while (true) {
    const std::size_t open = held_.find(kOpen);
    if (open == std::string::npos) {
      const std::size_t keep = partial_mark(held_, kOpen);
      news.text += held_.substr(0, held_.size() - keep);
      held_.erase(0, held_.size() - keep);
      return news;
    }
    const std::size_t close = held_.find(kClose, open);
    if (close == std::string::npos) {
      news.text += held_.substr(0, open);
      held_.erase(0, open);
      return news;
    }
    const std::size_t begin = open + kOpen.size();
    std::vector<ToolCall> calls = parse_calls(held_.substr(begin, close - begin));
    const std::size_t end = close + kClose.size();
    news.text += held_.substr(0, calls.empty() ? end : open);
    for (ToolCall& call : calls) news.calls.push_back(std::move(call));
    held_.erase(0, end);
  }
}

ToolCallReader::News ToolCallReader::finish() {
  News news;
  std::string rest = std::exchange(held_, {});
  // The last tag may be missing: models end their answer after the object.
  std::string json = rest;
  if (format_ == ToolFormat::kTagged) {
    if (!rest.starts_with(kOpen)) {
      news.text = std::move(rest);
      return news;
    }
    json = rest.substr(kOpen.size());
  }
  news.calls = parse_calls(json);
  if (news.calls.empty()) news.text = std::move(rest);
  return news;
}

}  // namespace tigerbot::serve
