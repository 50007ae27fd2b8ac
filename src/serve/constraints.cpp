#include "serve/constraints.h"

#include "base/text.h"
#include "serve/api/error.h"

namespace tigerbot::serve {

std::shared_ptr<const TokenConstraint> response_constraint(Fields& fields, const ServingModel&) {
  const OrderedJson* value = fields.find("response_format");
  if (value == nullptr) return nullptr;
  Fields format(*value, "response_format");
  format.get("type");
  const std::string type = *format.text("type");
  if (type == "json_object" || type == "json_schema") {
    refuse_unsupported("response_format", fmt::format("type \"{}\" is not served yet", type));
  }
  if (type != "text") {
    refuse_parameter("response_format.type",
                     "'response_format.type' must be text, json_object or json_schema, not {}",
                     quote(type));
  }
  format.finish();
  return nullptr;
}

std::shared_ptr<const TokenConstraint> tool_constraint(const ToolChoice& choice, const OrderedJson&,
                                                       const ServingModel&) {
  if (choice.kind == ToolChoice::Kind::kRequired || choice.kind == ToolChoice::Kind::kFunction) {
    refuse_unsupported("tool_choice", "a call can't be forced yet; use auto or none");
  }
  return nullptr;
}

}  // namespace tigerbot::serve
