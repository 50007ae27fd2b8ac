#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "infer/constraint/automaton.h"
#include "infer/constraint/token_masks.h"
#include "infer/constraint/token_trie.h"
#include "infer/token_constraint.h"

namespace tigerbot::constraint {

/// A grammar over one vocabulary, shared by all answers that keep to it.
class CompiledGrammar {
 public:
  /// `walks` are those of all grammars over `trie`.
  CompiledGrammar(Grammar grammar, std::shared_ptr<const TokenTrie> trie,
                  std::shared_ptr<SharedWalks> walks, std::vector<std::int64_t> stop_token_ids);

  /// Whether answers have made it grow so much that the next ones are better off with a new one.
  bool is_large();

 private:
  friend class GrammarConstraint;
  std::shared_ptr<const TokenTrie> trie_;
  std::shared_ptr<SharedWalks> walks_;
  std::vector<std::int64_t> stop_token_ids_;
  std::mutex mutex_;  // for the automaton and the masks, which grow
  Automaton automaton_;
  TokenMasks masks_;
};

/// Where one answer stands in a grammar.
class GrammarConstraint final : public TokenConstraint {
 public:
  explicit GrammarConstraint(std::shared_ptr<CompiledGrammar> grammar);

  std::unique_ptr<TokenConstraint> clone() const override;
  void fill(TokenMask& mask) override;
  void accept(TokenId id) override;
  bool finished() const override { return finished_; }

 private:
  std::shared_ptr<CompiledGrammar> grammar_;
  StateId state_;
  std::vector<std::int32_t> stack_;  // frames of the containers that are open
  bool first_ = true;                // no token has come yet
  bool finished_ = false;
};

}  // namespace tigerbot::constraint
