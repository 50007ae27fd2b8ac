#include "tokenizer/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"

namespace tigerbot {
namespace {

using Json = nlohmann::ordered_json;

std::string render(std::string_view source, Json messages = Json::array(),
                   std::vector<std::pair<std::string, Json>> variables = {}) {
  ChatTemplate::Inputs inputs;
  inputs.messages = std::move(messages);
  inputs.variables = std::move(variables);
  inputs.bos_token = "<s>";
  inputs.eos_token = "</s>";
  return ChatTemplate(source).render(inputs);
}

/// The message of the error that parsing or rendering `source` gives.
std::string refusal(std::string_view source) {
  try {
    render(source);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// What Python's jinja2 made of real models' templates; see tests/golden/chat_templates.py. The
// variable names another such file, for a comparison over more templates than the tree holds.
TEST(ChatTemplate, RealTemplatesRenderAsInJinja2) {
  const char* other = std::getenv("TIGERBOT_CHAT_TEMPLATES_GOLDEN");
  const std::string path =
      other != nullptr ? other
                       : std::string(TIGERBOT_SOURCE_DIR) + "/tests/golden/chat_templates.json";
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  const Json golden = Json::parse(file);
  ASSERT_GE(golden["templates"].size(), 15U);
  for (const Json& entry : golden["templates"]) {
    const auto name = entry["name"].get<std::string>();
    for (const auto& [case_name, expected] : entry["rendered"].items()) {
      const Json& conversation = golden["cases"][case_name];
      ChatTemplate::Inputs inputs;
      inputs.messages = conversation["messages"];
      inputs.tools = conversation.value("tools", Json());
      inputs.add_generation_prompt = conversation.value("add_generation_prompt", true);
      inputs.bos_token = "<s>";
      inputs.eos_token = "</s>";
      inputs.now = golden["now"].get<std::int64_t>();
      if (conversation.contains("variables")) {
        for (const auto& [key, value] : conversation["variables"].items()) {
          inputs.variables.emplace_back(key, value);
        }
      }
      try {
        const std::string text = ChatTemplate(entry["source"].get<std::string>()).render(inputs);
        ASSERT_TRUE(expected.contains("text"))
            << name << ", " << case_name << ": jinja2 refuses (" << expected << "), we give\n"
            << text;
        EXPECT_EQ(text, expected["text"].get<std::string>()) << name << ", " << case_name;
      } catch (const Error& error) {
        EXPECT_TRUE(expected.contains("error"))
            << name << ", " << case_name << ": " << error.what();
      }
    }
  }
}

TEST(ChatTemplate, BlocksTakeTheirOwnLineAndIndentationAway) {
  EXPECT_EQ(render("a\n  {% if true %}\nb\n  {% endif %}\nc\n"), "a\nb\nc");
  EXPECT_EQ(render("a \n {%- if true -%} \n b {%- endif %}"), "ab");
  EXPECT_EQ(render("x{# note #}\ny"), "xy");
  EXPECT_EQ(render("{% raw %}{{ a }}{% endraw %}"), "{{ a }}");
}

TEST(ChatTemplate, ScopesAreJinjas) {
  EXPECT_EQ(render("{% set x = 1 %}{% for i in [1, 2] %}{% set x = i %}{% endfor %}{{ x }}"), "1");
  EXPECT_EQ(render("{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}"), "2");
  EXPECT_EQ(render("{% set n = namespace(x=1) %}{% for i in [1, 2] %}{% set n.x = n.x + i %}"
                   "{% endfor %}{{ n.x }}"),
            "4");
  EXPECT_EQ(render("{% macro m(a, b='B') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}"),
            "1B12");
}

TEST(ChatTemplate, ValuesPrintAsPythonPrintsThem) {
  EXPECT_EQ(render("{{ [1, 'a', none, true, 1.0, {'k': (1,)}] }}"),
            "[1, 'a', None, True, 1.0, {'k': (1,)}]");
  EXPECT_EQ(render("{{ 1e16 }} {{ 0.0001 }} {{ 0.00001 }} {{ 7 // -2 }} {{ -7 % 3 }} {{ 7 / 2 }}"),
            "1e+16 0.0001 1e-05 -4 2 3.5");
  EXPECT_EQ(render("{{ {'a': [1, 'é\"']} | tojson }}"), "{\"a\": [1, \"é\\\"\"]}");
  EXPECT_EQ(render("{{ 'abcdef'[::-2] }}{{ 'héllo'[1:3] }}{{ [1, 2, 3][-1] }}"), "fdbél3");
}

TEST(ChatTemplate, MistakesNameTheirLine) {
  EXPECT_EQ(refusal("a\n{{ 1 + }}"), "chat template: line 2: expected a value but found \"}}\"");
  EXPECT_EQ(refusal("{% if x %}"),
            "chat template: line 1: a block is never closed: {% endif %} is missing");
  EXPECT_NE(refusal("\n\n{% include 'x' %}").find("line 3"), std::string::npos);
  EXPECT_EQ(refusal("{{ x | nosuch }}"), "chat template: line 1: no filter is called \"nosuch\"");
  EXPECT_EQ(refusal("{{ a.b }}"), "chat template: \"a\" is undefined");
  EXPECT_EQ(refusal("{{ raise_exception('no') }}"), "chat template: no");
}

TEST(ChatTemplate, WorkWithoutEndIsStopped) {
  EXPECT_NE(refusal("{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}"
                    "{% endfor %}"),
            "");
  EXPECT_NE(refusal("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), "");
  EXPECT_NE(refusal("{% set n = namespace(x='ab') %}{% for i in range(99) %}"
                    "{% set n.x = n.x ~ n.x %}{% endfor %}"),
            "");
  EXPECT_NE(refusal("{% set n = namespace(x=[]) %}{% for i in range(9999) %}"
                    "{% set n.x = [n.x] %}{% endfor %}"),
            "");
  EXPECT_NE(refusal("{{ " + std::string(100000, '(')), "");
  EXPECT_NE(refusal("{{ " + std::string(100000, '-') + "1 }}"), "");
  std::string sum = "{{ 1";
  for (int i = 0; i < 100000; ++i) sum += "+1";
  EXPECT_NE(refusal(sum + " }}"), "");
  EXPECT_NE(refusal("{{ 'a' * 99999999999 }}"), "");
}

TEST(ChatTemplate, ANamespaceMayHoldItself) {
  EXPECT_EQ(render("{% set n = namespace() %}{% set n.me = n %}{{ n.me.me == n }}"), "True");
}

TEST(ChatTemplate, OwnTemplates) {
  const Json messages = {{{"role", "user"}, {"content", "A"}},
                         {{"role", "assistant"}, {"content", "B"}},
                         {{"role", "user"}, {"content", "C"}}};
  EXPECT_EQ(render(chat_templates::kTigerBot, messages),
            "\n\n### Instruction:\nA\n\n### Response:\nB</s>\n\n### Instruction:\nC"
            "\n\n### Response:\n");
  EXPECT_EQ(render(chat_templates::kChatMl, messages),
            "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n"
            "<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n");
}

}  // namespace
}  // namespace tigerbot
