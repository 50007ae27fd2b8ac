#include "infer/constraint/automaton.h"

#include <algorithm>

#include "base/error.h"

namespace tigerbot::constraint {

Automaton::Automaton(Grammar grammar) : grammar_(std::move(grammar)) {
  start_ = state_of(grammar_.root);
}

StateId Automaton::state_of(ExprId expression) {
  if (expression == kNothing) return kDead;
  const auto [found, added] =
      state_ids_.try_emplace(expression, static_cast<StateId>(states_.size()));
  if (added) states_.push_back({.expression = expression});
  return found->second;
}

void Automaton::build(StateId state) {
  if (const auto literal = grammar_.pool->literal_step(expression(state))) {
    const StateId next = state_of(literal->rest);
    states_[static_cast<std::size_t>(state)].next = next;
    states_[static_cast<std::size_t>(state)].only = literal->byte;
    return;
  }
  if (++built_ > kMaxBuiltStates) {
    fail("the answer's grammar needs more than {} states; use simpler patterns", kMaxBuiltStates);
  }
  ExpressionPool& pool = *grammar_.pool;
  const ExprId id = expression(state);
  auto actions = std::make_unique<Actions>();
  ByteClasses classes;
  pool.classify(id, classes);
  std::array<Action, 256> of_class{};
  std::array<bool, 256> seen{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::uint8_t own = classes.class_of[byte];
    if (!std::exchange(seen[own], true)) {
      of_class[own] = state_of(pool.derivative(id, static_cast<unsigned char>(byte)));
    }
    actions->at[byte] = of_class[own];
  }
  // Brackets inside strings are bytes like others; a bracket of the structure never meets them.
  for (const unsigned char opener : {'{', '['}) {
    if (const Action action = open(id, opener); action != kDead) actions->at[opener] = action;
  }
  std::vector<RuleId> ending;
  pool.endings(id, ending);
  if (!ending.empty()) {
    const unsigned char closer = grammar_.rules[static_cast<std::size_t>(ending[0])].closer();
    actions->at[closer] = close(std::move(ending));
  }
  states_[static_cast<std::size_t>(state)].actions = std::move(actions);
}

Automaton::Action Automaton::add(Bracket bracket) {
  brackets_.push_back(bracket);
  return static_cast<Action>(-1 - static_cast<std::int64_t>(brackets_.size()));
}

Automaton::Action Automaton::open(ExprId expression, unsigned char opener) {
  ExpressionPool& pool = *grammar_.pool;
  std::vector<ExpressionPool::Opening> openings;
  pool.openings(expression, opener, openings);
  std::map<RuleId, std::vector<ExprId>> by_rule;
  for (const auto& opening : openings) {
    if (opening.after != kNothing) by_rule[opening.rule].push_back(opening.after);
  }
  if (by_rule.empty()) return kDead;
  Frame frame;
  std::vector<ExprId> insides;
  for (auto& [rule, after] : by_rule) {
    frame.emplace_back(rule, pool.either(after));
    insides.push_back(pool.inside(rule, grammar_.rules[static_cast<std::size_t>(rule)].body));
  }
  const StateId inside = state_of(pool.either(insides));
  if (inside == kDead) return kDead;
  const auto [found, added] =
      frame_ids_.try_emplace(frame, static_cast<std::int32_t>(frames_.size()));
  if (added) frames_.push_back(frame);
  return add({.opens = true, .frame = found->second, .inside = inside});
}

Automaton::Action Automaton::close(std::vector<RuleId> rules) {
  const auto found = closing_.find(rules);
  if (found != closing_.end()) return found->second;
  closed_.push_back(rules);
  const Action action =
      add({.opens = false, .frame = static_cast<std::int32_t>(closed_.size() - 1)});
  closing_.emplace(std::move(rules), action);
  return action;
}

StateId Automaton::after(std::int32_t frame, std::int32_t closed) {
  const std::uint64_t key =
      static_cast<std::uint64_t>(frame) << 32 | static_cast<std::uint32_t>(closed);
  if (const auto found = after_.find(key); found != after_.end()) return found->second;
  std::vector<ExprId> next;
  const std::vector<RuleId>& ended = closed_[static_cast<std::size_t>(closed)];
  for (const auto& [rule, then] : frames_[static_cast<std::size_t>(frame)]) {
    if (std::binary_search(ended.begin(), ended.end(), rule)) next.push_back(then);
  }
  const StateId state = state_of(grammar_.pool->either(next));
  after_.emplace(key, state);
  return state;
}

std::vector<Automaton::Sequel> Automaton::sequels(StateId state) {
  std::vector<Sequel> found;
  for (const ExpressionPool::Sequel& one : grammar_.pool->sequels(expression(state))) {
    found.push_back({one.head == kEmpty ? kDead : state_of(one.head), state_of(one.rest)});
  }
  return found;
}

ByteSet Automaton::first_bytes(StateId state) {
  ByteSet bytes;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (step(state, static_cast<unsigned char>(byte)) != kDead) {
      bytes = bytes | ByteSet::range(byte, byte);
    }
  }
  return bytes;
}

StateId Automaton::shortened(StateId state, std::int64_t length) {
  return state_of(grammar_.pool->shortened(expression(state), length));
}

}  // namespace tigerbot::constraint
