#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <vector>

#include "infer/constraint/answer_format.h"

namespace tigerbot {

/// --json-object, --json-schema, --regex and --choice: what an answer has to be.
struct AnswerFormatFlags {
  bool json_object = false;
  std::string json_schema;
  std::string regex;
  std::vector<std::string> choices;

  void add(CLI::App& command);
  /// Nothing where no flag is given. Reads the schema's file.
  std::optional<AnswerFormat> format() const;
};

}  // namespace tigerbot
