#include <cstdint>
#include <cstdlib>
#include <string>

#include "serve/api/chat_messages.h"
#include "serve/api/error.h"
#include "serve/api/generation_fields.h"
#include "serve/api/tool_calls.h"

namespace {

using namespace tigerbot::serve;

/// Calls and text of an answer that comes in pieces.
std::string read_answer(const std::string& answer, ToolFormat format, std::size_t piece) {
  ToolCallReader reader(format);
  std::string text;
  std::string calls;
  const auto add = [&](ToolCallReader::News news) {
    text += news.text;
    for (const ToolCall& call : news.calls) {
      if (!parse_body(call.arguments).is_object()) std::abort();
      calls += call.name + "(" + call.arguments + ")";
    }
  };
  for (std::size_t at = 0; at < answer.size(); at += piece)
    add(reader.push(answer.substr(at, piece)));
  add(reader.finish());
  return text + "\n" + calls;
}

}  // namespace

// A body is read or refused with a 4xx; messages that are read have a role and text; calls are the
// same however an answer comes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    const OrderedJson body = parse_body(bytes);
    Fields fields(body);
    ModelLimits limits;
    limits.vocab_size = 100;
    limits.context_length = 100;
    GenerationFields generation = read_generation_fields(fields, limits);
    if (generation.request.n < 1 || generation.request.n > limits.max_choices) std::abort();
    OrderedJson tools;
    if (const OrderedJson* value = fields.find("tools")) tools = read_tools(*value);
    read_tool_choice(fields, tools);
    OrderedJson messages = read_chat_messages(fields.get("messages"));
    for (const OrderedJson& message : messages) {
      if (!message.at("role").is_string() || !message.at("content").is_string()) std::abort();
    }
    if (!tools.is_null()) describe_tools(std::move(messages), tools);
    fields.finish();
  } catch (const ApiError& error) {
    if (error.status() < 400 || error.status() > 499) std::abort();
    parse_body(error_body(error));
  }
  for (const ToolFormat format : {ToolFormat::kTagged, ToolFormat::kBareJson}) {
    if (read_answer(bytes, format, 1) != read_answer(bytes, format, size + 1)) std::abort();
  }
  return 0;
}
