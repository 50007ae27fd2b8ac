#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/api/fields.h"

namespace tigerbot::serve {

/// How a model writes the calls that it makes.
enum class ToolFormat {
  kTagged,  ///< <tool_call>{"name": ..., "arguments": {...}}</tool_call>, as Hermes, Qwen, SmolLM2
  kBareJson,  ///< {"name": ..., "parameters": {...}} as the whole answer, as Llama 3
};

/// What the model's chat template was written for.
struct ToolTemplate {
  bool reads_tools = false;  ///< false: tools have to be told in the system message
  ToolFormat format = ToolFormat::kTagged;
};
ToolTemplate find_tool_template(std::string_view chat_template);

/// Tells of tools and how to call them in a system message (one is added where there is none), for
/// models whose template does not. Calls in earlier messages become their text.
OrderedJson describe_tools(OrderedJson messages, const OrderedJson& tools);

struct ToolCall {
  std::string name;
  std::string arguments;  ///< JSON
};

/// Takes calls out of an answer's text as it comes. Text that may be the beginning of a call is
/// held back until it is clear; what turns out to be no call is text.
class ToolCallReader {
 public:
  explicit ToolCallReader(ToolFormat format) : format_(format) {}

  struct News {
    std::string text;
    std::vector<ToolCall> calls;
  };

  News push(std::string_view text);
  /// When no more text comes.
  News finish();

 private:
  ToolFormat format_;
  std::string held_;
  bool began_ = false;  // bare JSON: whether the answer has turned out to be text
};

}  // namespace tigerbot::serve
