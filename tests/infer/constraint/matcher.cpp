#include "infer/constraint/matcher.h"

#include "base/error.h"

namespace tigerbot::testing {

std::string refusal(const AnswerFormat& format) {
  try {
    compile_format(format);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace tigerbot::testing
