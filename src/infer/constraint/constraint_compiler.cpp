#include "infer/constraint/constraint_compiler.h"

#include "infer/constraint/compiled_grammar.h"
#include "infer/constraint/shared_walks.h"

namespace tigerbot {

namespace {

std::string key_of(const AnswerFormat& format) {
  std::string key = std::to_string(static_cast<int>(format.kind)) + format.text;
  for (const std::string& choice : format.choices) {
    key += std::to_string(choice.size()) + ':' + choice;
  }
  return key;
}

}  // namespace

ConstraintCompiler::ConstraintCompiler(const Tokenizer& tokenizer,
                                       std::vector<std::int64_t> stop_token_ids)
    : trie_(std::make_shared<constraint::TokenTrie>(constraint::token_bytes(tokenizer))),
      walks_(std::make_shared<constraint::SharedWalks>()),
      stop_token_ids_(std::move(stop_token_ids)) {}

ConstraintCompiler::~ConstraintCompiler() = default;

std::shared_ptr<const TokenConstraint> ConstraintCompiler::compile(const AnswerFormat& format) {
  std::string key = key_of(format);
  {
    const std::scoped_lock lock(mutex_);
    const auto found = by_key_.find(key);
    if (found != by_key_.end() && found->second->grammar->is_large()) {
      kept_.erase(found->second);
      by_key_.erase(found);
    } else if (found != by_key_.end()) {
      kept_.splice(kept_.begin(), kept_, found->second);
      return std::make_shared<constraint::GrammarConstraint>(kept_.front().grammar);
    }
  }
  // Without the lock: a large schema must not hold up the others.
  auto grammar = std::make_shared<constraint::CompiledGrammar>(compile_format(format), trie_,
                                                               walks_, stop_token_ids_);
  const std::scoped_lock lock(mutex_);
  if (!by_key_.contains(key)) {
    kept_.push_front({key, grammar});
    by_key_.emplace(std::move(key), kept_.begin());
    if (kept_.size() > kKept) {
      by_key_.erase(kept_.back().key);
      kept_.pop_back();
    }
  }
  return std::make_shared<constraint::GrammarConstraint>(std::move(grammar));
}

}  // namespace tigerbot
