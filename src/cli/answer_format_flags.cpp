#include "cli/answer_format_flags.h"

#include "base/error.h"
#include "base/files.h"

namespace tigerbot {

void AnswerFormatFlags::add(CLI::App& command) {
  command.add_flag("--json-object", json_object, "The answer is a JSON object");
  command.add_option("--json-schema", json_schema,
                     "The answer is JSON that meets the schema in FILE");
  command.add_option("--regex", regex, "The whole answer matches this regular expression");
  command.add_option("--choice", choices, "The answer is this text, or that of another --choice");
}

std::optional<AnswerFormat> AnswerFormatFlags::format() const {
  const int given =
      int{json_object} + int{!json_schema.empty()} + int{!regex.empty()} + int{!choices.empty()};
  if (given == 0) return std::nullopt;
  if (given > 1) fail("give one of --json-object, --json-schema, --regex and --choice");
  // A mistake is told before the model is loaded.
  const auto checked = [](AnswerFormat format) {
    compile_format(format);
    return format;
  };
  if (json_object) return AnswerFormat::json_object();
  if (!regex.empty()) return checked(AnswerFormat::pattern(regex));
  if (!choices.empty()) return checked(AnswerFormat::choice(choices));
  constexpr std::uint64_t kMaxBytes = 16 << 20;
  try {
    return checked(AnswerFormat::json_schema(read_file(json_schema, kMaxBytes)));
  } catch (const Error& error) {
    const std::string message = error.what();
    if (message.find(json_schema) != std::string::npos) throw;
    throw Error(json_schema + ": " + message, error.kind());
  }
}

}  // namespace tigerbot
