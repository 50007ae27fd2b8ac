#include "train/sft_rows.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/utf8.h"
#include "data/readers/decompression.h"

namespace tigerbot::train {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kInstructionMarker = "\n\n### Instruction:\n";
constexpr std::string_view kResponseMarker = "\n\n### Response:\n";

/// The text of a field that may be missing or null.
std::string optional_text(const OrderedJson& row, const char* key, const std::string& place) {
  const auto found = row.find(key);
  if (found == row.end() || found->is_null()) return "";
  if (!found->is_string()) fail("{}: \"{}\" must be a string", place, key);
  return found->get<std::string>();
}

std::string required_text(const OrderedJson& row, const char* key, const std::string& place) {
  std::string text = optional_text(row, key, place);
  if (text.empty()) {
    fail("{}: \"{}\" is missing or empty; every SFT row needs \"instruction\" and \"output\"",
         place, key);
  }
  return text;
}

/// TigerBot's published sets write the markers into the fields; a template writes its own.
std::string without_marker(std::string text, std::string_view marker) {
  while (text.starts_with(marker)) text.erase(0, marker.size());
  return text;
}

void add_message(Conversation& conversation, const char* role, std::string content) {
  conversation.messages.push_back({{"role", role}, {"content", std::move(content)}});
}

OrderedJson parse_tools(const OrderedJson& row, const std::string& place) {
  const auto found = row.find("tools");
  if (found == row.end() || found->is_null()) return nullptr;
  OrderedJson tools = *found;
  if (tools.is_string()) {
    const auto text = tools.get<std::string>();
    if (trim(text).empty()) return nullptr;
    tools = OrderedJson::parse(text, nullptr, /*allow_exceptions=*/false);
  }
  if (!tools.is_array()) fail("{}: \"tools\" must be a list of functions", place);
  if (tools.empty()) return nullptr;
  // ShareGPT sets give the bare function; OpenAI wraps it.
  for (OrderedJson& tool : tools) {
    if (!tool.is_object()) fail("{}: \"tools\" must be a list of functions", place);
    if (!tool.contains("function")) tool = {{"type", "function"}, {"function", tool}};
  }
  return tools;
}

Conversation parse_instruction(const OrderedJson& row, const std::string& place) {
  Conversation conversation;
  if (std::string system = optional_text(row, "system", place); !system.empty()) {
    add_message(conversation, "system", std::move(system));
  }
  if (const auto history = row.find("history"); history != row.end() && !history->is_null()) {
    if (!history->is_array()) fail("{}: \"history\" must be a list of [question, answer]", place);
    for (const OrderedJson& turn : *history) {
      if (!turn.is_array() || turn.size() != 2 || !turn[0].is_string() || !turn[1].is_string()) {
        fail("{}: \"history\" must be a list of [question, answer]", place);
      }
      add_message(conversation, "user", turn[0].get<std::string>());
      add_message(conversation, "assistant", turn[1].get<std::string>());
    }
  }
  std::string question =
      without_marker(required_text(row, "instruction", place), kInstructionMarker);
  if (const std::string input = optional_text(row, "input", place); !input.empty()) {
    question += "\n" + input;
  }
  add_message(conversation, "user", std::move(question));
  add_message(conversation, "assistant",
              without_marker(required_text(row, "output", place), kResponseMarker));
  return conversation;
}

Conversation parse_messages(const OrderedJson& row, const std::string& place) {
  Conversation conversation;
  conversation.tools = parse_tools(row, place);
  const OrderedJson& messages = row["messages"];
  if (!messages.is_array()) fail("{}: \"messages\" must be a list", place);
  for (const OrderedJson& message : messages) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string()) {
      fail("{}: every message needs a \"role\"", place);
    }
    auto role = message["role"].get<std::string>();
    constexpr std::array kRoles = {"system", "developer", "user", "assistant", "tool", "function"};
    if (std::ranges::find(kRoles, role) == kRoles.end()) {
      fail("{}: unknown role {}; system, user, assistant and tool are known", place, quote(role));
    }
    OrderedJson copy = message;
    if (role == "developer") copy["role"] = "system";
    if (role == "function") copy["role"] = "tool";
    const bool calls = copy.contains("tool_calls") && !copy["tool_calls"].is_null();
    if (!copy.contains("content") || copy["content"].is_null()) {
      if (!calls) fail("{}: a message of role {} has no \"content\"", place, quote(role));
      copy["content"] = "";
    }
    if (copy["content"].is_array()) {  // parts: their texts, one after another
      std::string text;
      for (const OrderedJson& part : copy["content"]) {
        if (part.is_object() && part.contains("text") && part["text"].is_string()) {
          text += part["text"].get<std::string>();
        }
      }
      copy["content"] = text;
    }
    if (!copy["content"].is_string()) fail("{}: \"content\" must be a string", place);
    conversation.messages.push_back(std::move(copy));
  }
  return conversation;
}

Conversation parse_share_gpt(const OrderedJson& row, const std::string& place) {
  using Roles = std::pair<std::string_view, std::string_view>;
  constexpr std::array kRoles = {Roles{"human", "user"},        Roles{"user", "user"},
                                 Roles{"gpt", "assistant"},     Roles{"assistant", "assistant"},
                                 Roles{"chatgpt", "assistant"}, Roles{"bot", "assistant"},
                                 Roles{"system", "system"},     Roles{"observation", "tool"},
                                 Roles{"tool", "tool"},         Roles{"function_response", "tool"},
                                 Roles{"function_call", "call"}};
  Conversation conversation;
  conversation.tools = parse_tools(row, place);
  if (std::string system = optional_text(row, "system", place); !system.empty()) {
    add_message(conversation, "system", std::move(system));
  }
  const OrderedJson& turns = row["conversations"];
  if (!turns.is_array()) fail("{}: \"conversations\" must be a list", place);
  for (const OrderedJson& turn : turns) {
    if (!turn.is_object()) fail("{}: every turn must be an object", place);
    const std::string from = optional_text(turn, "from", place);
    const auto* role = std::ranges::find(kRoles, from, &Roles::first);
    if (role == kRoles.end()) {
      fail("{}: unknown \"from\" {}; human, gpt, system, function_call and observation are known",
           place, quote(from));
    }
    std::string value = optional_text(turn, "value", place);
    if (role->second != "call") {
      add_message(conversation, std::string(role->second).c_str(), std::move(value));
      continue;
    }
    OrderedJson call = OrderedJson::parse(value, nullptr, /*allow_exceptions=*/false);
    if (call.is_discarded()) fail("{}: a function_call must be JSON, not {}", place, quote(value));
    OrderedJson calls = OrderedJson::array();
    for (const OrderedJson& one : call.is_array() ? call : OrderedJson::array({call})) {
      calls.push_back({{"type", "function"}, {"function", one}});
    }
    conversation.messages.push_back(
        {{"role", "assistant"}, {"content", ""}, {"tool_calls", std::move(calls)}});
  }
  return conversation;
}

/// The whole file, decompressed if need be.
std::string read_text(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) fail("{}: no such file", file.string());
  constexpr double kMaxRatio = 200;
  const auto source = data::decompress(data::open_file(file), kMaxRatio);
  std::string text;
  std::vector<char> part(1 << 20);
  while (const std::size_t got = source->read(part.data(), part.size())) {
    text.append(part.data(), got);
  }
  return text;
}

bool answers(const OrderedJson& message) {
  if (message["role"] != "assistant") return false;
  return !message["content"].get<std::string>().empty() || message.contains("tool_calls");
}

}  // namespace

Conversation parse_sft_row(const OrderedJson& row, const std::string& place) {
  if (!row.is_object()) fail("{}: a row must be a JSON object", place);
  Conversation conversation;
  if (row.contains("messages")) {
    conversation = parse_messages(row, place);
  } else if (row.contains("conversations")) {
    conversation = parse_share_gpt(row, place);
  } else if (row.contains("instruction") || row.contains("output")) {
    conversation = parse_instruction(row, place);
  } else {
    fail(
        "{}: no SFT row: \"instruction\" and \"output\", \"messages\", or \"conversations\" is "
        "needed",
        place);
  }
  if (std::ranges::none_of(conversation.messages, answers)) {
    fail("{}: the row has no answer to learn from", place);
  }
  return conversation;
}

void for_each_row(const std::filesystem::path& file,
                  const std::function<void(const OrderedJson&, const std::string&)>& take) {
  const std::string name = file.string();
  const std::string text = read_text(file);
  const std::size_t start = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (start == std::string::npos) fail("{}: the file is empty", name);
  const auto parse = [&](std::string_view json, const std::string& place) {
    if (const std::size_t bad = first_invalid_utf8(json); bad != std::string_view::npos) {
      fail("{}: not valid UTF-8", place);
    }
    OrderedJson value = OrderedJson::parse(json, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) fail("{}: not valid JSON", place);
    return value;
  };
  if (text[start] == '[') {
    const OrderedJson rows = parse(std::string_view(text).substr(start), name);
    std::size_t number = 0;
    for (const OrderedJson& row : rows) take(row, fmt::format("{}: row {}", name, ++number));
    return;
  }
  std::size_t number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    const std::string place = fmt::format("{}:{}", name, number);
    take(parse(line, place), place);
  }
}

}  // namespace tigerbot::train
