#include "serve/api/chat_messages.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "serve/api/error.h"

namespace tigerbot::serve {

namespace {

constexpr std::size_t kMaxTools = 128;
constexpr std::size_t kMaxNameBytes = 64;

std::string read_parts(const OrderedJson& parts, const std::string& where) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string place = fmt::format("{}[{}]", where, i);
    Fields part(parts[i], place);
    const auto type = part.text("type");
    if (!type) part.get("type");
    if (*type == "refusal") {
      part.get("refusal");
      text += *part.text("refusal");
    } else if (*type == "text") {
      part.get("text");
      if (i > 0) text += '\n';
      text += *part.text("text");
    } else {
      refuse_unsupported(place + ".type",
                         fmt::format("content of type {} is not taken, only text", quote(*type)));
    }
    part.finish();
  }
  return text;
}

std::string read_content(Fields& message, bool required) {
  const OrderedJson* content = required ? &message.get("content") : message.find("content");
  if (content == nullptr) return "";
  if (content->is_string()) return content->get<std::string>();
  const std::string where = message.path("content");
  if (!content->is_array()) {
    refuse_parameter(where, "'{}' must be a string or an array of parts, not {}", where,
                     kind_of(*content));
  }
  return read_parts(*content, where);
}

void check_name(const std::string& name, const std::string& where) {
  const auto is_good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  if (name.empty() || name.size() > kMaxNameBytes ||
      !std::all_of(name.begin(), name.end(), is_good)) {
    refuse_parameter(where, "'{}' must be 1 to {} letters, digits, _, - or .", where,
                     kMaxNameBytes);
  }
}

OrderedJson read_calls(const OrderedJson& calls, const std::string& where) {
  if (!calls.is_array()) refuse_parameter(where, "'{}' must be an array", where);
  auto list = OrderedJson::array();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::string place = fmt::format("{}[{}]", where, i);
    Fields call(calls[i], place);
    const auto id = call.text("id");
    const std::string type = call.text("type").value_or("function");
    if (type != "function") {
      refuse_unsupported(place + ".type", "only calls of functions are known");
    }
    Fields function(call.get("function"), place + ".function");
    function.get("name");
    const std::string name = *function.text("name");
    const std::string arguments = function.text("arguments").value_or("{}");
    OrderedJson parsed;
    try {
      parsed = parse_body(arguments.empty() ? "{}" : arguments);
    } catch (const ApiError&) {
      parsed = nullptr;
    }
    if (!parsed.is_object()) {
      refuse_parameter(function.path("arguments"), "'{}' must be a JSON object, as a string",
                       function.path("arguments"));
    }
    function.finish();
    call.finish();
    OrderedJson entry = {{"type", "function"},
                         {"function", {{"name", name}, {"arguments", std::move(parsed)}}}};
    if (id) entry["id"] = *id;
    list.push_back(std::move(entry));
  }
  return list;
}

OrderedJson read_message(const OrderedJson& value, const std::string& where) {
  Fields message(value, where);
  message.get("role");
  std::string role = *message.text("role");
  constexpr std::array<std::string_view, 5> kRoles{"system", "developer", "user", "assistant",
                                                   "tool"};
  if (std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) {
    refuse_parameter(message.path("role"),
                     "'{}' must be system, developer, user, assistant or tool, not {}",
                     message.path("role"), quote(role));
  }
  if (role == "developer") role = "system";
  OrderedJson result = {{"role", role}};
  const OrderedJson* calls = role == "assistant" ? message.find("tool_calls") : nullptr;
  result["content"] = read_content(message, /*required=*/calls == nullptr);
  if (calls != nullptr && !calls->empty()) {
    result["tool_calls"] = read_calls(*calls, message.path("tool_calls"));
  }
  if (role == "assistant") {
    if (const auto refusal = message.text("refusal")) {
      result["content"] = result["content"].get<std::string>() + *refusal;
    }
    message.refuse("audio", "the model makes no sound");
    message.refuse("function_call", "use 'tool_calls'");
    // The clients' own types carry an empty list of it.
    if (const OrderedJson* annotations = message.find("annotations")) {
      if (!annotations->is_array() || !annotations->empty()) {
        refuse_unsupported(message.path("annotations"), "the model cites nothing");
      }
    }
  }
  if (role == "tool") {
    message.get("tool_call_id");
    result["tool_call_id"] = *message.text("tool_call_id");
  }
  if (const auto name = message.text("name")) result["name"] = *name;
  message.finish();
  return result;
}

}  // namespace

OrderedJson read_chat_messages(const OrderedJson& messages) {
  if (!messages.is_array()) {
    refuse_parameter("messages", "'messages' must be an array, not {}", kind_of(messages));
  }
  if (messages.empty()) refuse_parameter("messages", "'messages' must not be empty");
  auto list = OrderedJson::array();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    list.push_back(read_message(messages[i], fmt::format("messages[{}]", i)));
  }
  return list;
}

OrderedJson read_tools(const OrderedJson& tools) {
  if (!tools.is_array()) {
    refuse_parameter("tools", "'tools' must be an array, not {}", kind_of(tools));
  }
  if (tools.size() > kMaxTools) refuse_parameter("tools", "{} tools at most", kMaxTools);
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string place = fmt::format("tools[{}]", i);
    Fields tool(tools[i], place);
    tool.get("type");
    if (*tool.text("type") != "function") {
      refuse_unsupported(place + ".type", "only tools of type \"function\" are known");
    }
    Fields function(tool.get("function"), place + ".function");
    function.get("name");
    check_name(*function.text("name"), function.path("name"));
    function.text("description");
    if (const OrderedJson* parameters = function.find("parameters")) {
      if (!parameters->is_object()) {
        refuse_parameter(function.path("parameters"), "'{}' must be a JSON schema (an object)",
                         function.path("parameters"));
      }
    }
    function.boolean("strict");
    function.finish();
    tool.finish();
  }
  return tools;
}

ToolChoice read_tool_choice(Fields& fields, const OrderedJson& tools) {
  const OrderedJson* choice = fields.find("tool_choice");
  const bool has_tools = !tools.is_null() && !tools.empty();
  ToolChoice result;
  if (choice == nullptr) {
    result.kind = has_tools ? ToolChoice::Kind::kAuto : ToolChoice::Kind::kNone;
    return result;
  }
  if (!has_tools) refuse_parameter("tool_choice", "'tool_choice' needs 'tools'");
  if (choice->is_string()) {
    const auto name = choice->get<std::string>();
    if (name == "auto") return result;
    if (name == "none") return {ToolChoice::Kind::kNone, ""};
    if (name == "required") return {ToolChoice::Kind::kRequired, ""};
    refuse_parameter("tool_choice", "'tool_choice' must be none, auto, required or a function");
  }
  Fields object(*choice, "tool_choice");
  object.get("type");
  if (*object.text("type") != "function") {
    refuse_unsupported("tool_choice.type", "only \"function\" is known");
  }
  Fields function(object.get("function"), "tool_choice.function");
  function.get("name");
  result.kind = ToolChoice::Kind::kFunction;
  result.function = *function.text("name");
  function.finish();
  object.finish();
  const bool known = std::any_of(tools.begin(), tools.end(), [&](const OrderedJson& tool) {
    return tool["function"]["name"] == result.function;
  });
  if (!known) {
    refuse_parameter("tool_choice.function.name", "'tools' has no function {}",
                     quote(result.function));
  }
  return result;
}

}  // namespace tigerbot::serve
