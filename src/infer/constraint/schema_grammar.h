#pragma once

#include <string_view>

#include "infer/constraint/grammar.h"

namespace tigerbot::constraint {

/// The JSON texts that meet a schema (draft 2020-12, and what earlier drafts write otherwise).
/// Properties come in the order in which the schema names them, numbers and white space in forms of
/// bounded length, and an object has further properties only where the schema speaks of them: what
/// is written is always valid, not everything that is valid can be written. A keyword that cannot
/// be kept, and a schema that no value meets, is an Error that says where.
Grammar schema_grammar(std::string_view schema);

/// Any JSON object.
Grammar json_object_grammar();

}  // namespace tigerbot::constraint
