#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "infer/constraint/answer_format.h"
#include "infer/constraint/token_trie.h"
#include "infer/token_constraint.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

namespace constraint {
class CompiledGrammar;
class SharedWalks;
}  // namespace constraint

/// Makes constraints for one model's tokens. Formats that were compiled lately are kept, with the
/// masks that answers have asked for so far. Safe to use from many threads.
class ConstraintCompiler {
 public:
  /// `stop_token_ids` end an answer, where the format lets it end.
  ConstraintCompiler(const Tokenizer& tokenizer, std::vector<std::int64_t> stop_token_ids);
  ~ConstraintCompiler();

  /// A constraint at the beginning of an answer, for GenerationRequest::constraint. An Error for a
  /// format that cannot be kept.
  std::shared_ptr<const TokenConstraint> compile(const AnswerFormat& format);

  /// Formats kept.
  static constexpr std::size_t kKept = 64;

 private:
  std::shared_ptr<const constraint::TokenTrie> trie_;
  std::shared_ptr<constraint::SharedWalks> walks_;
  std::vector<std::int64_t> stop_token_ids_;
  struct Entry {
    std::string key;
    std::shared_ptr<constraint::CompiledGrammar> grammar;
  };
  std::mutex mutex_;
  std::list<Entry> kept_;  // the latest first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace tigerbot
