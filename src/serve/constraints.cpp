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

AnswerFormat read_choices(const OrderedJson& list, const std::string& param) {
  std::vector<std::string> choices;
  if (!list.is_array()) refuse_parameter(param, "'{}' must be an array of strings", param);
  for (const OrderedJson& choice : list) {
    if (!choice.is_string()) refuse_parameter(param, "'{}' must be an array of strings", param);
    choices.push_back(choice.get<std::string>());
  }
  return AnswerFormat::choice(std::move(choices));
}

/// A format, and the parameter that asked for it.
struct Wanted {
  AnswerFormat format;
  std::string param;
};

/// A schema as a text or as itself.
AnswerFormat read_plain_schema(const OrderedJson& schema) {
  return AnswerFormat::json_schema(schema.is_string() ? schema.get<std::string>() : schema.dump());
}

/// vLLM's names: "structured_outputs": {"json": ...}, and "guided_json" and its kin before that.
void read_vllm_formats(Fields& fields, std::vector<Wanted>& wanted) {
  const auto read = [&](Fields& from, const std::string& prefix) {
    if (const OrderedJson* value = from.find(prefix + "json")) {
      wanted.push_back({read_plain_schema(*value), from.path(prefix + "json")});
    }
    if (const auto pattern = from.text(prefix + "regex")) {
      wanted.push_back({AnswerFormat::pattern(*pattern), from.path(prefix + "regex")});
    }
    if (const OrderedJson* value = from.find(prefix + "choice")) {
      const std::string param = from.path(prefix + "choice");
      wanted.push_back({read_choices(*value, param), param});
    }
    if (from.boolean(prefix + "json_object").value_or(false)) {
      wanted.push_back({AnswerFormat::json_object(), from.path(prefix + "json_object")});
    }
    from.refuse(prefix + "grammar", "json, regex and choice are");
  };
  read(fields, "guided_");
  if (const OrderedJson* value = fields.find("structured_outputs")) {
    Fields format(*value, "structured_outputs");
    const std::size_t before = wanted.size();
    read(format, "");
    format.refuse("structural_tag", "json, regex and choice are");
    format.finish();
    if (wanted.size() == before) {
      refuse_parameter("structured_outputs",
                       "'structured_outputs' needs one of json, json_object, regex and choice");
    }
  }
}

/// A schema that becomes a part of another one: its references to itself lead there.
OrderedJson moved(OrderedJson schema, const std::string& place) {
  if (schema.is_array()) {
    for (OrderedJson& part : schema) part = moved(std::move(part), place);
  } else if (schema.is_object()) {
    for (auto& [key, value] : schema.items()) {
      if (key == "$ref" && value.is_string() &&
          (value == "#" || value.get_ref<const std::string&>().starts_with("#/"))) {
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
  std::vector<Wanted> wanted;
  if (const OrderedJson* value = fields.find("response_format")) {
    Fields format(*value, "response_format");
    format.get("type");
    const std::string type = *format.text("type");
    if (type == "json_object") {
      wanted.push_back({AnswerFormat::json_object(), "response_format"});
    } else if (type == "json_schema") {
      wanted.push_back({read_schema(format), "response_format.json_schema.schema"});
    } else if (type == "regex") {
      format.get("pattern");
      wanted.push_back({AnswerFormat::pattern(*format.text("pattern")), "response_format.pattern"});
    } else if (type == "choice") {
      const std::string param = "response_format.choices";
      wanted.push_back({read_choices(format.get("choices"), param), param});
    } else if (type != "text") {
      refuse_parameter("response_format.type",
                       "'response_format.type' must be text, json_object, json_schema, regex or "
                       "choice, not {}",
                       quote(type));
    }
    format.finish();
  }
  read_vllm_formats(fields, wanted);
  if (wanted.empty()) return nullptr;
  if (wanted.size() > 1) {
    refuse_parameter(wanted[1].param, "'{}' and '{}' exclude each other", wanted[0].param,
                     wanted[1].param);
  }
  return compile(model, wanted[0].format, wanted[0].param);
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
