#include <gtest/gtest.h>

#include "serve/api/chat_messages.h"
#include "serve/api/error.h"
#include "serve/api/fields.h"
#include "serve/api/tool_calls.h"

namespace tigerbot::serve {
namespace {

/// The parameter that a refusal names, and what it says.
template <typename Action>
std::pair<std::string, std::string> refusal(Action&& action) {
  try {
    action();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    return {error.param(), error.what()};
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

OrderedJson json(const char* text) { return OrderedJson::parse(text); }

TEST(Fields, BadBodiesAreRefused) {
  for (const std::string& body :
       {std::string(""), std::string(" "), std::string("{"), std::string("[1,]"),
        std::string("{\"a\": 1, \"a\": 2}"), std::string("{\"a\": 1e999}"), std::string("nul"),
        std::string("{\"a\": \"\xff\"}"), std::string("\"\\ud800\""), std::string(100, '['),
        std::string(100000, '['), std::string("{\"a\":1}x"), std::string("\0", 1)}) {
    EXPECT_NE(refusal([&] { parse_body(body); }).second, "") << body.substr(0, 50);
  }
  EXPECT_EQ(parse_body("{\"b\": 1, \"a\": 2}").dump(), "{\"b\":1,\"a\":2}");  // in their order
}

TEST(Fields, NameTheParameterThatIsWrong) {
  const OrderedJson body = json(
      R"({"t": "x", "i": 1.5, "big": 18446744073709551615, "n": -1, "f": 1e300, "o": {"u": 1}})");
  Fields fields(body);
  EXPECT_EQ(refusal([&] { fields.number("t", 0, 1); }).first, "t");
  EXPECT_EQ(refusal([&] { fields.integer("i", 0, 10); }).first, "i");
  EXPECT_EQ(refusal([&] { fields.integer("big", 0, 10); }).first, "big");
  EXPECT_EQ(refusal([&] { fields.integer("n", 0, 10); }).first, "n");
  EXPECT_EQ(refusal([&] { fields.number("f", 0, 10); }).first, "f");
  EXPECT_EQ(refusal([&] { fields.boolean("n"); }).first, "n");
  EXPECT_EQ(refusal([&] { fields.get("gone"); }).first, "gone");
  Fields inner(fields.get("o"), "o");
  EXPECT_EQ(refusal([&] { inner.finish(); }).first, "o.u");
  fields.finish();
}

TEST(Fields, AnUnknownParameterIsRefusedWithTheNearestName) {
  const OrderedJson body = json(R"({"temperatur": 1})");
  Fields fields(body);
  fields.number("temperature", 0, 2);
  const auto [param, message] = refusal([&] { fields.finish(); });
  EXPECT_EQ(param, "temperatur");
  EXPECT_NE(message.find("temperature"), std::string::npos);
}

TEST(ChatMessages, BecomeWhatTemplatesRead) {
  const OrderedJson messages = read_chat_messages(json(R"([
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    {"role": "assistant", "content": null, "tool_calls": [
      {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": [1]}"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "7"}])"));
  EXPECT_EQ(messages[0]["role"], "system");
  EXPECT_EQ(messages[1]["content"], "a\nb");
  EXPECT_EQ(messages[2]["content"], "");
  EXPECT_EQ(messages[2]["tool_calls"][0]["function"]["arguments"], json(R"({"x": [1]})"));
  EXPECT_EQ(messages[3]["tool_call_id"], "c1");
}

TEST(ChatMessages, ThatAreNotRightAreNamed) {
  const auto param = [](const char* text) {
    return refusal([&] { read_chat_messages(json(text)); }).first;
  };
  EXPECT_EQ(param("[]"), "messages");
  EXPECT_EQ(param("{}"), "messages");
  EXPECT_EQ(param("[1]"), "messages[0]");
  EXPECT_EQ(param(R"([{"content": "a"}])"), "messages[0].role");
  EXPECT_EQ(param(R"([{"role": "owner", "content": "a"}])"), "messages[0].role");
  EXPECT_EQ(param(R"([{"role": "user"}])"), "messages[0].content");
  EXPECT_EQ(param(R"([{"role": "user", "content": 1}])"), "messages[0].content");
  EXPECT_EQ(param(R"([{"role": "user", "content": "a", "mood": "b"}])"), "messages[0].mood");
  EXPECT_EQ(param(R"([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])"),
            "messages[0].content[0].type");
  EXPECT_EQ(param(R"([{"role": "tool", "content": "a"}])"), "messages[0].tool_call_id");
  EXPECT_EQ(param(R"([{"role": "assistant", "tool_calls":
      [{"function": {"name": "f", "arguments": "{"}}]}])"),
            "messages[0].tool_calls[0].function.arguments");
}

TEST(ToolChoice, NeedsToolsAndAFunctionAmongThem) {
  const OrderedJson tools = json(R"([{"type": "function", "function": {"name": "f"}}])");
  const auto choice = [&](const char* body, const OrderedJson& given) {
    const OrderedJson parsed = json(body);
    Fields fields(parsed);
    return read_tool_choice(fields, given);
  };
  EXPECT_EQ(choice("{}", tools).kind, ToolChoice::Kind::kAuto);
  EXPECT_EQ(choice("{}", nullptr).kind, ToolChoice::Kind::kNone);
  EXPECT_EQ(choice(R"({"tool_choice": "none"})", tools).kind, ToolChoice::Kind::kNone);
  EXPECT_EQ(
      choice(R"({"tool_choice": {"type": "function", "function": {"name": "f"}}})", tools).function,
      "f");
  EXPECT_EQ(refusal([&] { choice(R"({"tool_choice": "auto"})", nullptr); }).first, "tool_choice");
  EXPECT_EQ(refusal([&] {
              choice(R"({"tool_choice": {"type": "function", "function": {"name": "g"}}})", tools);
            }).first,
            "tool_choice.function.name");
}

/// Text and calls of an answer that comes in pieces of `piece` bytes.
std::pair<std::string, std::vector<ToolCall>> read_calls(ToolFormat format,
                                                         const std::string& answer,
                                                         std::size_t piece) {
  ToolCallReader reader(format);
  std::string text;
  std::vector<ToolCall> calls;
  const auto add = [&](ToolCallReader::News news) {
    text += news.text;
    for (ToolCall& call : news.calls) calls.push_back(std::move(call));
  };
  for (std::size_t at = 0; at < answer.size(); at += piece)
    add(reader.push(answer.substr(at, piece)));
  add(reader.finish());
  return {text, calls};
}

TEST(ToolCalls, AreTakenOutOfTaggedAnswersInAnyPieces) {
  const std::string answer =
      "Let me see.<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"</b>\"}}\n</tool_call>"
      "<tool_call>[{\"name\": \"g\"}, {\"name\": \"h\", \"arguments\": {}}]</tool_call> a < b "
      "<tool";
  for (std::size_t piece = 1; piece < answer.size(); ++piece) {
    const auto [text, calls] = read_calls(ToolFormat::kTagged, answer, piece);
    EXPECT_EQ(text, "Let me see. a < b <tool");
    ASSERT_EQ(calls.size(), 3U);
    EXPECT_EQ(calls[0].name, "f");
    EXPECT_EQ(calls[0].arguments, "{\"x\":\"</b>\"}");
    EXPECT_EQ(calls[1].arguments, "{}");
    EXPECT_EQ(calls[2].name, "h");
  }
}

TEST(ToolCalls, WhatIsNoCallIsText) {
  for (const std::string& answer :
       {std::string("<tool_call>no json</tool_call>!"), std::string("<tool_call>{\"name\": 1}"),
        std::string("<tool_call>"), std::string("a<tool_call>{}</tool_call>b")}) {
    const auto [text, calls] = read_calls(ToolFormat::kTagged, answer, 3);
    EXPECT_EQ(text, answer);
    EXPECT_TRUE(calls.empty());
  }
  const auto [text, calls] = read_calls(ToolFormat::kTagged, "<tool_call>{\"name\": \"f\"}", 4);
  EXPECT_EQ(text, "");  // the last tag may be missing
  EXPECT_EQ(calls.size(), 1U);
}

TEST(ToolCalls, OfBareJsonAreTheWholeAnswer) {
  const auto call =
      read_calls(ToolFormat::kBareJson, " {\"name\": \"f\", \"parameters\": {\"a\": 1}}", 5);
  EXPECT_EQ(call.first, "");
  ASSERT_EQ(call.second.size(), 1U);
  EXPECT_EQ(call.second[0].arguments, "{\"a\":1}");
  EXPECT_EQ(read_calls(ToolFormat::kBareJson, "{\"a\": 1}", 2).first, "{\"a\": 1}");
  EXPECT_EQ(read_calls(ToolFormat::kBareJson, "No {\"name\": \"f\"}", 2).first,
            "No {\"name\": \"f\"}");
}

TEST(ToolCalls, AModelWithoutToolsInItsTemplateIsTold) {
  const OrderedJson tools = json(R"([{"type": "function", "function": {"name": "f"}}])");
  const OrderedJson told = describe_tools(json(R"([{"role": "user", "content": "u"},
               {"role": "assistant", "content": "", "tool_calls":
                 [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]},
               {"role": "tool", "tool_call_id": "c", "content": "7"}])"),
                                          tools);
  ASSERT_EQ(told.size(), 4U);
  EXPECT_EQ(told[0]["role"], "system");
  EXPECT_NE(told[0]["content"].get<std::string>().find("\"name\":\"f\""), std::string::npos);
  EXPECT_NE(told[2]["content"].get<std::string>().find("<tool_call>"), std::string::npos);
  EXPECT_FALSE(told[2].contains("tool_calls"));
  EXPECT_EQ(told[3]["role"], "user");
}

}  // namespace
}  // namespace tigerbot::serve
