#pragma once

#include "serve/api/fields.h"

namespace tigerbot::serve {

/// The messages of a chat request as templates read them: content as one text, arguments of calls
/// as objects, "developer" as "system". An ApiError that names the part for what is not right or
/// not supported (images, sound).
OrderedJson read_chat_messages(const OrderedJson& messages);

/// The tools of a chat request, checked.
OrderedJson read_tools(const OrderedJson& tools);

/// "auto", "none", "required", or the name of the function that must be called.
struct ToolChoice {
  enum class Kind { kAuto, kNone, kRequired, kFunction };
  Kind kind = Kind::kAuto;
  std::string function;
};

/// `tools` are those of the request; null if it has none.
ToolChoice read_tool_choice(Fields& fields, const OrderedJson& tools);

}  // namespace tigerbot::serve
