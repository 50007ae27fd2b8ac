// Templates come with models, so they are foreign bytes: whatever stands in one, rendering a
// conversation ends, in bounded memory, with text or a tigerbot::Error.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "tokenizer/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using Json = nlohmann::ordered_json;
  static const tigerbot::ChatTemplate::Inputs inputs = [] {
    tigerbot::ChatTemplate::Inputs result;
    const Json call = {{"function", {{"name", "f"}, {"arguments", {{"x", 1}, {"y", 2.5}}}}}};
    result.messages = Json::array({{{"role", "system"}, {"content", "Be brief."}},
                                   {{"role", "user"}, {"content", "Hi \xE4\xBD\xA0"}},
                                   {{"role", "assistant"}, {"tool_calls", Json::array({call})}},
                                   {{"role", "tool"}, {"content", "3"}}});
    result.tools = Json::array(
        {{{"type", "function"}, {"function", {{"name", "f"}, {"parameters", Json::object()}}}}});
    result.bos_token = "<s>";
    result.eos_token = "</s>";
    result.now = 0;
    return result;
  }();
  try {
    const tigerbot::ChatTemplate parsed(
        std::string_view(reinterpret_cast<const char*>(data), size));
    parsed.render(inputs);
  } catch (const tigerbot::Error&) {
  }
  return 0;
}
