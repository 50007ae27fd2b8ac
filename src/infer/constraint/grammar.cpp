#include "infer/constraint/grammar.h"

#include <algorithm>

namespace tigerbot::constraint {

void Grammar::remove_endless() {
  std::vector<char> usable(rules.size(), 0);
  for (bool changed = true; changed;) {
    changed = false;
    const std::vector<char> live = pool->live_expressions(usable);
    for (std::size_t i = 0; i < rules.size(); ++i) {
      if (usable[i] != 0 || live[static_cast<std::size_t>(rules[i].body)] == 0) continue;
      usable[i] = 1;
      changed = true;
    }
  }
  if (std::all_of(usable.begin(), usable.end(), [](char u) { return u != 0; })) return;
  std::unordered_map<ExprId, ExprId> done;
  root = pool->without_rules(root, usable, done);
  for (Rule& rule : rules) rule.body = pool->without_rules(rule.body, usable, done);
}

}  // namespace tigerbot::constraint
