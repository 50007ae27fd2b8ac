// Schemas and regular expressions come with requests. Whatever stands in one, it compiles or is
// refused, in bounded memory; from there on every way goes on or may end, and what has ended is
// valid UTF-8, and JSON if it came from a schema. The first byte chooses.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "base/utf8.h"
#include "infer/constraint/answer_format.h"
#include "infer/constraint/automaton.h"

namespace {

using namespace tigerbot;
using constraint::Automaton;

void require(bool holds) {
  if (!holds) std::abort();
}

void walk(Automaton& automaton, const AnswerFormat& format, std::uint64_t seed) {
  auto state = automaton.start();
  std::vector<std::int32_t> stack;
  std::string text;
  constexpr std::size_t kSteps = 300;
  for (std::size_t step = 0; step < kSteps; ++step) {
    const bool may_end = stack.empty() && automaton.may_end(state);
    if (may_end && (automaton.must_end(state) || random_below({seed, 1, step}, 4) == 0)) {
      require(is_valid_utf8(text));
      const bool is_json = format.kind == AnswerFormat::Kind::kJsonSchema;
      if (is_json) parse_json(text, "answer", {.max_depth = 1000, .reject_duplicate_keys = false});
      return;
    }
    // Brackets and quotation marks more often than others, so that something ends.
    const auto first = random_below({seed, 2, step}, 256);
    const char* const closing = "\"}]";
    bool moved = false;
    for (std::uint64_t i = 0; i < 259 && !moved; ++i) {
      const auto byte = static_cast<unsigned char>(
          i < 3 && first % 2 == 0 ? closing[i] : static_cast<char>(first + i));
      const auto action = automaton.step(state, byte);
      if (action == Automaton::kDead) continue;
      moved = true;
      text += static_cast<char>(byte);
      if (!Automaton::is_bracket(action)) {
        state = action;
        continue;
      }
      const auto bracket = automaton.bracket(action);
      if (bracket.opens) {
        stack.push_back(bracket.frame);
        state = bracket.inside;
      } else {
        state = automaton.after(stack.back(), bracket.frame);
        stack.pop_back();
        require(state != Automaton::kDead);
      }
    }
    require(moved || may_end);
    if (!moved) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const AnswerFormat format =
      data[0] % 2 == 0 ? AnswerFormat::json_schema(text) : AnswerFormat::pattern(text);
  try {
    Automaton automaton(compile_format(format));
    for (std::uint64_t seed = 0; seed < 4; ++seed) walk(automaton, format, seed);
  } catch (const Error& error) {
    require(error.kind() == Error::Kind::kUser);
  }
  return 0;
}
