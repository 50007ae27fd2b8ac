#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "infer/constraint/grammar.h"

namespace tigerbot::constraint {

using StateId = std::int32_t;

/// A grammar as a deterministic automaton with a stack, made state by state where texts go. Not for
/// several threads.
class Automaton {
 public:
  explicit Automaton(Grammar grammar);

  /// Nothing that may follow leads to a whole answer.
  static constexpr StateId kDead = -1;

  /// What a byte does in a state: a state to go on in, kDead, or (below kDead) a bracket.
  using Action = std::int32_t;
  struct Bracket {
    bool opens = false;
    std::int32_t frame = 0;  ///< opens: to push; closes: which rules may have ended
    StateId inside = kDead;  ///< opens: where to go on
  };
  static bool is_bracket(Action action) { return action < kDead; }
  const Bracket& bracket(Action action) const {
    return brackets_[static_cast<std::size_t>(-2 - action)];
  }

  StateId start() const { return start_; }
  Action step(StateId state, unsigned char byte) {
    const State* s = &states_[static_cast<std::size_t>(state)];
    if (!s->actions) {
      if (s->only < 0) {
        build(state);
        s = &states_[static_cast<std::size_t>(state)];
      }
      if (s->only >= 0) return byte == s->only ? s->next : kDead;
    }
    return s->actions->at[byte];
  }
  /// The state after a container: `frame` was pushed when it opened, `closed` says what ended.
  StateId after(std::int32_t frame, std::int32_t closed);

  /// Whether the text may end here, if nothing is open.
  bool may_end(StateId state) const { return grammar_.pool->nullable(expression(state)); }
  /// Whether it must.
  bool must_end(StateId state) const { return expression(state) == kEmpty; }

  /// A state taken apart; see ExpressionPool::sequels. `head` is a state that knows nothing of what
  /// follows, kDead where there is none.
  struct Sequel {
    StateId head;
    StateId rest;
  };
  std::vector<Sequel> sequels(StateId state);
  std::string description(StateId state) const {
    return grammar_.pool->description(expression(state));
  }
  /// The bytes that `state` can go on with, brackets of the structure included.
  ByteSet first_bytes(StateId state);

  /// A state with the same future for texts of at most `length` bytes, the same one for many.
  StateId shortened(StateId state, std::int64_t length);

  /// Whether it has grown so much that it is better made anew.
  bool is_large() const { return built_ > kMaxBuiltStates / 2 || grammar_.pool->effort() > 0.5; }
  /// States with their table of actions, of a kilobyte each. More is an Error.
  static constexpr std::size_t kMaxBuiltStates = 50'000;

 private:
  struct Actions {
    Action at[256];
  };
  /// What its bytes do is found when first asked for. Most states are within a literal, where one
  /// byte goes on: they need no table.
  struct State {
    ExprId expression;
    std::int16_t only = -1;  // the one byte that goes on, or negative
    Action next = kDead;     // where it leads
    std::unique_ptr<Actions> actions{};
  };
  ExprId expression(StateId state) const {
    return states_[static_cast<std::size_t>(state)].expression;
  }
  StateId state_of(ExprId expression);
  void build(StateId state);
  Action open(ExprId expression, unsigned char opener);
  Action close(std::vector<RuleId> rules);
  Action add(Bracket bracket);

  Grammar grammar_;
  StateId start_ = kDead;
  std::vector<State> states_;
  std::unordered_map<ExprId, StateId> state_ids_;
  std::size_t built_ = 0;
  std::vector<Bracket> brackets_;
  /// What may follow each rule that may have been opened, by frame.
  using Frame = std::vector<std::pair<RuleId, ExprId>>;
  std::vector<Frame> frames_;
  std::map<Frame, std::int32_t> frame_ids_;
  std::vector<std::vector<RuleId>> closed_;
  std::map<std::vector<RuleId>, Action> closing_;
  std::unordered_map<std::uint64_t, StateId> after_;
};

}  // namespace tigerbot::constraint
