#pragma once

#include <memory>

#include "infer/token_constraint.h"
#include "serve/api/chat_messages.h"
#include "serve/serving_model.h"

namespace tigerbot::serve {

/// What "response_format" asks for; nullptr where that is plain text. An ApiError for a schema that
/// can't be followed.
std::shared_ptr<const TokenConstraint> response_constraint(Fields& fields,
                                                           const ServingModel& model);

/// What makes an answer one call of a function of `tools`; nullptr where the choice leaves the
/// model free.
std::shared_ptr<const TokenConstraint> tool_constraint(const ToolChoice& choice,
                                                       const OrderedJson& tools,
                                                       const ServingModel& model);

}  // namespace tigerbot::serve
