#include "train/sft_template.h"

#include <algorithm>

#include "base/error.h"

namespace tigerbot::train {
namespace {

using OrderedJson = nlohmann::ordered_json;
using Span = std::pair<std::size_t, std::size_t>;

bool mentions(std::string_view source, std::string_view word) {
  return source.find(word) != std::string_view::npos;
}

std::size_t common_prefix(const std::vector<TokenId>& a, const std::vector<TokenId>& b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

/// Calls as text, for templates that know none.
std::string calls_text(const OrderedJson& calls) {
  std::string text;
  for (const OrderedJson& call : calls) {
    if (!text.empty()) text += "\n";
    text += "<tool_call>\n" + (call.contains("function") ? call["function"] : call).dump() +
            "\n</tool_call>";
  }
  return text;
}

}  // namespace

SftTemplate::SftTemplate(std::string_view source, std::string bos_token, std::string eos_token)
    : template_(source),
      bos_token_(std::move(bos_token)),
      eos_token_(std::move(eos_token)),
      knows_tool_calls_(mentions(source, "tool_calls")),
      knows_tools_(mentions(source, "tools")),
      knows_tool_role_(mentions(source, "'tool'") || mentions(source, "\"tool\"") ||
                       !mentions(source, "raise_exception")),
      knows_system_(mentions(source, "system") || !mentions(source, "raise_exception")) {}

std::string SftTemplate::render(const OrderedJson& messages, const OrderedJson& tools,
                                bool add_generation_prompt) const {
  ChatTemplate::Inputs inputs;
  inputs.messages = messages;
  inputs.tools = tools;
  inputs.add_generation_prompt = add_generation_prompt;
  inputs.bos_token = bos_token_;
  inputs.eos_token = eos_token_;
  inputs.now = 1704067200;  // some templates write the date; it must not change from run to run
  return template_.render(inputs);
}

Conversation SftTemplate::adapted(const Conversation& conversation) const {
  Conversation result;
  std::string system;
  if (knows_tools_) {
    result.tools = conversation.tools;
  } else if (!conversation.tools.is_null()) {
    system = "Tools:\n" + conversation.tools.dump();
  }
  for (const OrderedJson& given : conversation.messages) {
    OrderedJson message = given;
    if (!knows_tool_calls_ && message.contains("tool_calls")) {
      auto content = message["content"].get<std::string>();
      if (!content.empty()) content += "\n";
      message["content"] = content + calls_text(message["tool_calls"]);
      message.erase("tool_calls");
    }
    if (!knows_tool_role_ && message["role"] == "tool") {
      message["role"] = "user";
      message["content"] =
          "<tool_response>\n" + message["content"].get<std::string>() + "\n</tool_response>";
    }
    if (message["role"] == "system" && (!system.empty() || !knows_system_)) {
      const auto content = message["content"].get<std::string>();
      system = system.empty() ? content : content + "\n\n" + system;
      continue;
    }
    result.messages.push_back(std::move(message));
  }
  if (system.empty()) return result;
  if (knows_system_) {
    const OrderedJson first = {{"role", "system"}, {"content", system}};
    result.messages.insert(result.messages.begin(), first);
  } else if (!result.messages.empty() && result.messages.front()["role"] == "user") {
    OrderedJson& first = result.messages.front();
    first["content"] = system + "\n\n" + first["content"].get<std::string>();
  }
  return result;
}

std::optional<Span> SftTemplate::by_prefixes(const Conversation& conversation, std::size_t message,
                                             const std::string& text) const {
  const auto first = conversation.messages.begin();
  const auto at = static_cast<std::ptrdiff_t>(message);
  const OrderedJson before(OrderedJson::array_t(first, first + at));
  const OrderedJson with(OrderedJson::array_t(first, first + at + 1));
  const std::string start = render(before, conversation.tools, true);
  const std::string end = render(with, conversation.tools, false);
  if (!text.starts_with(start) || !text.starts_with(end) || end.size() <= start.size()) {
    return std::nullopt;
  }
  return Span{start.size(), end.size()};
}

std::optional<Span> SftTemplate::by_content(const Conversation& conversation, std::size_t message,
                                            const std::string& text) const {
  // A word that stands in no text takes the answer's place: where it comes out, the answer begins.
  static const std::string kMark = "tigerbot-answer-7f3a9c51e2";
  OrderedJson messages = conversation.messages;
  const auto content = messages[message]["content"].get<std::string>();
  messages[message]["content"] = kMark;
  const std::string marked = render(messages, conversation.tools, false);
  const std::size_t begin = marked.find(kMark);
  if (content.empty() || begin == std::string::npos) return std::nullopt;
  const std::string after = marked.substr(begin + kMark.size());
  if (text.size() < begin + after.size() || text.compare(0, begin, marked, 0, begin) != 0 ||
      !text.ends_with(after)) {
    return std::nullopt;
  }
  // What ends the turn: up to the next message's text, of which nothing is known but that a special
  // token, if there is one, closes this one. encode() cuts after it.
  const std::size_t end = text.size() - after.size();
  const std::size_t line = after.find('\n');
  return Span{begin, end + (line == std::string::npos ? after.size() : line)};
}

SftTemplate::Rendered SftTemplate::render(const Conversation& given,
                                          const std::string& place) const {
  const Conversation conversation = adapted(given);
  Rendered rendered;
  try {
    rendered.text = render(conversation.messages, conversation.tools, false);
    for (std::size_t i = 0; i < conversation.messages.size(); ++i) {
      if (conversation.messages[i]["role"] != "assistant") continue;
      std::optional<Span> span = by_prefixes(conversation, i, rendered.text);
      if (!span) span = by_content(conversation, i, rendered.text);
      if (span) rendered.answers.push_back(*span);
    }
  } catch (const Error& error) {
    fail("{}: the chat template refuses the row: {}", place, error.what());
  }
  if (rendered.answers.empty()) {
    fail("{}: no answer of the row could be found in what the chat template makes of it", place);
  }
  return rendered;
}

SftExample SftTemplate::encode(const Conversation& conversation, const Tokenizer& tokenizer,
                               const std::string& place) const {
  const Rendered rendered = render(conversation, place);
  // The template writes the special tokens itself.
  const Tokenizer::EncodeOptions options{.add_special_tokens = false, .parse_special_tokens = true};
  SftExample example;
  example.ids = tokenizer.encode(rendered.text, options);
  example.labels.assign(example.ids.size(), -100);
  const std::string_view text = rendered.text;
  for (const auto& answer : rendered.answers) {
    // Tokens that the text up to a place shares with the whole: a token across the place belongs
    // to what comes after it.
    const std::size_t begin =
        common_prefix(tokenizer.encode(text.substr(0, answer.first), options), example.ids);
    std::size_t end =
        answer.second == text.size()
            ? example.ids.size()
            : common_prefix(tokenizer.encode(text.substr(0, answer.second), options), example.ids);
    for (std::size_t i = end; i > begin; --i) {
      if (tokenizer.is_special(example.ids[i - 1])) {
        end = i;
        break;
      }
    }
    for (std::size_t i = std::max<std::size_t>(begin, 1); i < end; ++i) {
      example.labels[i - 1] = example.ids[i];
    }
  }
  return example;
}

}  // namespace tigerbot::train
