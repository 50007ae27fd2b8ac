#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "infer/constraint/answer_format.h"
#include "infer/constraint/automaton.h"

namespace tigerbot::testing {

/// Follows a text through a grammar byte by byte, without tokens.
class Matcher {
 public:
  explicit Matcher(const AnswerFormat& format) : automaton_(compile_format(format)) {}
  explicit Matcher(constraint::Grammar grammar) : automaton_(std::move(grammar)) {}

  /// Whether `text` is a whole answer.
  bool accepts(std::string_view text) {
    return follow(text) && stack_.empty() && automaton_.may_end(state_);
  }

  /// Whether `text` may begin an answer.
  bool follow(std::string_view text) {
    state_ = automaton_.start();
    stack_.clear();
    for (const char c : text) {
      const auto action = automaton_.step(state_, static_cast<unsigned char>(c));
      if (action == constraint::Automaton::kDead) return false;
      if (!constraint::Automaton::is_bracket(action)) {
        state_ = action;
        continue;
      }
      const auto& bracket = automaton_.bracket(action);
      if (bracket.opens) {
        stack_.push_back(bracket.frame);
        state_ = bracket.inside;
      } else {
        state_ = automaton_.after(stack_.back(), bracket.frame);
        stack_.pop_back();
        if (state_ == constraint::Automaton::kDead) return false;
      }
    }
    return true;
  }

 private:
  constraint::Automaton automaton_;
  constraint::StateId state_ = constraint::Automaton::kDead;
  std::vector<std::int32_t> stack_;
};

inline Matcher schema(std::string text) {
  return Matcher(AnswerFormat::json_schema(std::move(text)));
}

inline bool fits(const std::string& schema_text, std::string_view answer) {
  return schema(schema_text).accepts(answer);
}

/// The message of the Error that compiling gives, or "".
std::string refusal(const AnswerFormat& format);

}  // namespace tigerbot::testing
