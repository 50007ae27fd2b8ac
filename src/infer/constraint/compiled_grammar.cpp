#include "infer/constraint/compiled_grammar.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace tigerbot::constraint {

CompiledGrammar::CompiledGrammar(Grammar grammar, std::shared_ptr<const TokenTrie> trie,
                                 std::shared_ptr<SharedWalks> walks,
                                 std::vector<std::int64_t> stop_token_ids)
    : trie_(std::move(trie)),
      walks_(std::move(walks)),
      stop_token_ids_(std::move(stop_token_ids)),
      automaton_(std::move(grammar)),
      masks_(automaton_, *trie_, *walks_) {}

bool CompiledGrammar::is_large() {
  const std::scoped_lock lock(mutex_);
  return automaton_.is_large();
}

GrammarConstraint::GrammarConstraint(std::shared_ptr<CompiledGrammar> grammar)
    : grammar_(std::move(grammar)), state_(grammar_->automaton_.start()) {}

std::unique_ptr<TokenConstraint> GrammarConstraint::clone() const {
  return std::make_unique<GrammarConstraint>(*this);
}

void GrammarConstraint::fill(TokenMask& mask) {
  if (mask.size() < grammar_->trie_->size()) {
    // The model has fewer rows than its tokenizer has pieces.
    TokenMask whole(grammar_->trie_->size());
    fill(whole);
    std::copy_n(whole.words().begin(), mask.words().size(), mask.words().begin());
    if (const auto used = static_cast<unsigned>(mask.size() % 32); used != 0) {
      mask.words().back() &= (1U << used) - 1;
    }
    return;
  }
  std::fill(mask.words().begin(), mask.words().end(), 0U);
  const std::scoped_lock lock(grammar_->mutex_);
  const bool loses_space = first_ && grammar_->trie_->tokens().first_loses_space;
  grammar_->masks_.allow(state_, stack_, loses_space, mask);
  if (stack_.empty() && grammar_->automaton_.may_end(state_)) {
    for (const std::int64_t id : grammar_->stop_token_ids_) {
      if (id >= 0 && id < mask.size()) mask.allow(static_cast<TokenId>(id));
    }
  }
}

void GrammarConstraint::accept(TokenId id) {
  const std::scoped_lock lock(grammar_->mutex_);
  const TokenBytes& tokens = grammar_->trie_->tokens();
  std::string_view bytes;
  if (id >= 0 && static_cast<std::size_t>(id) < tokens.of.size()) {
    bytes = tokens.of[static_cast<std::size_t>(id)];
  }
  if (first_ && tokens.first_loses_space && bytes.starts_with(' ')) bytes.remove_prefix(1);
  if (bytes.empty()) fail_internal("token {} does not keep to the answer's format", id);
  first_ = false;
  Automaton& automaton = grammar_->automaton_;
  for (const char c : bytes) {
    const Automaton::Action action = automaton.step(state_, static_cast<unsigned char>(c));
    if (action == Automaton::kDead) {
      fail_internal("token {} does not keep to the answer's format", id);
    }
    if (!Automaton::is_bracket(action)) {
      state_ = action;
      continue;
    }
    const Automaton::Bracket& bracket = automaton.bracket(action);
    if (bracket.opens) {
      stack_.push_back(bracket.frame);
      state_ = bracket.inside;
    } else {
      state_ = automaton.after(stack_.back(), bracket.frame);
      stack_.pop_back();
    }
  }
  finished_ = stack_.empty() && automaton.must_end(state_);
}

}  // namespace tigerbot::constraint
