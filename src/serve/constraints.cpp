#include "serve/constraints.h"

#include "base/error.h"
#include "base/text.h"
#include "infer/constraint/constraint_compiler.h"
#include "serve/api/error.h"

namespace tigerbot::serve {

namespace {

std::shared_ptr<const TokenConstraint> compile(const ServingModel& model,
                                               const AnswerFormat& format,
                                               const std::string& param) {
  try {
    return model.constraints().compile(format);
  } catch (const Error& error) {
    refuse_parameter(param, "'{}': {}", param, error.what());
  }
}

AnswerFormat read_schema(Fields& format) {
  Fields wrapper(format.get("json_schema"), "response_format.json_schema");
  wrapper.get("name");
  wrapper.text("name");
  wrapper.text("description");
  wrapper.boolean("strict");  // answers always keep to the schema
  const OrderedJson& schema = wrapper.get("schema");
  wrapper.finish();
  return AnswerFormat::json_schema(schema.dump());
}

AnswerFormat read_choices(Fields& format) {
  const OrderedJson& list = format.get("choices");
  std::vector<std::string> choices;
  for (const OrderedJson& choice : list) {
    if (!list.is_array() || !choice.is_string()) {
      refuse_parameter("response_format.choices",
                       "'response_format.choices' must be an array of strings");
    }
    choices.push_back(choice.get<std::string>());
  }
  return AnswerFormat::choice(std::move(choices));
}

/// A schema that becomes a part of another one: its references to itself lead there.
OrderedJson moved(OrderedJson schema, const std::string& place) {
  if (schema.is_array()) {
    for (OrderedJson& part : schema) part = moved(std::move(part), place);
  } else if (schema.is_object()) {
    for (auto& [key, value] : schema.items()) {
      if (key == "$ref" && value.is_string() &&
          value.get_ref<const std::string&>().starts_with('#')) {
        value = place + value.get<std::string>().substr(1);
      } else {
        value = moved(std::move(value), place);
      }
    }
  }
  return schema;
}

OrderedJson call_schema(const OrderedJson& function, const std::string& place) {
  OrderedJson arguments = {{"type", "object"}};
  if (function.contains("parameters") && function["parameters"].is_object()) {
    arguments = moved(function["parameters"], place + "/properties/arguments");
  }
  return {{"type", "object"},
          {"properties", {{"name", {{"const", function["name"]}}}, {"arguments", arguments}}},
          {"required", OrderedJson::array({"name", "arguments"})},
          {"additionalProperties", false}};
}

}  // namespace

std::shared_ptr<const TokenConstraint> response_constraint(Fields& fields,
                                                           const ServingModel& model) {
  const OrderedJson* value = fields.find("response_format");
  if (value == nullptr) return nullptr;
  Fields format(*value, "response_format");
  format.get("type");
  const std::string type = *format.text("type");
  std::optional<AnswerFormat> wanted;
  std::string param = "response_format";
  if (type == "json_object") {
    wanted = AnswerFormat::json_object();
  } else if (type == "json_schema") {
    wanted = read_schema(format);
    param = "response_format.json_schema.schema";
  } else if (type == "regex") {
    format.get("pattern");
    wanted = AnswerFormat::pattern(*format.text("pattern"));
    param = "response_format.pattern";
  } else if (type == "choice") {
    wanted = read_choices(format);
    param = "response_format.choices";
  } else if (type != "text") {
    refuse_parameter("response_format.type",
                     "'response_format.type' must be text, json_object, json_schema, regex or "
                     "choice, not {}",
                     quote(type));
  }
  format.finish();
  return wanted ? compile(model, *wanted, param) : nullptr;
}

std::shared_ptr<const TokenConstraint> tool_constraint(const ToolChoice& choice,
                                                       const OrderedJson& tools,
                                                       const ServingModel& model) {
  if (choice.kind != ToolChoice::Kind::kRequired && choice.kind != ToolChoice::Kind::kFunction) {
    for (std::size_t i = 0; choice.kind == ToolChoice::Kind::kAuto && i < tools.size(); ++i) {
      const auto& function = tools[i]["function"];
      if (function.contains("strict") && function["strict"] == true) {
        refuse_unsupported(fmt::format("tools[{}].function.strict", i),
                           "arguments keep to their schema where 'tool_choice' forces a call");
      }
    }
    return nullptr;
  }
  OrderedJson schema = {{"anyOf", OrderedJson::array()}};
  for (const OrderedJson& tool : tools) {
    const OrderedJson& function = tool["function"];
    if (choice.kind == ToolChoice::Kind::kFunction && function["name"] != choice.function) continue;
    const std::string place = fmt::format("#/anyOf/{}", schema["anyOf"].size());
    schema["anyOf"].push_back(call_schema(function, place));
  }
  return compile(model, AnswerFormat::json_schema(schema.dump()), "tools");
}

}  // namespace tigerbot::serve
