#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "infer/engine.h"

namespace tigerbot {

/// All that was told of one answer.
struct Told {
  std::string text;
  std::vector<TokenId> tokens;
  std::vector<TokenLogprobs> logprobs;
  std::vector<Hash128> logits;  ///< of each token drawn
  GenerationUpdate last;
};

/// Collects what an engine tells, by request and answer.
class Listening {
 public:
  GenerationListener listener() {
    return [this](const GenerationUpdate& update) {
      Told& told = answers_[{update.id, update.index}];
      told.text += update.text;
      told.tokens.insert(told.tokens.end(), update.tokens.begin(), update.tokens.end());
      told.logprobs.insert(told.logprobs.end(), update.logprobs.begin(), update.logprobs.end());
      told.last = update;
    };
  }
  auto observer() {
    return [this](std::int64_t id, std::int64_t index, std::span<const float> logits) {
      const Hash128 hash =
          hash128({reinterpret_cast<const char*>(logits.data()), logits.size_bytes()});
      const std::lock_guard lock(mutex_);
      logits_[{id, index}].push_back(hash);
    };
  }
  Told answer(std::int64_t id, std::int64_t index = 0) const {
    Told told = answers_.at({id, index});
    if (const auto logits = logits_.find({id, index}); logits != logits_.end()) {
      told.logits = logits->second;
    }
    return told;
  }

 private:
  std::map<std::pair<std::int64_t, std::int64_t>, Told> answers_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<Hash128>> logits_;
  std::mutex mutex_;
};

/// The first answer of each request, served together.
inline std::vector<Told> run_engine(Decoder& decoder, const Tokenizer& tokenizer,
                                    const std::vector<GenerationRequest>& requests,
                                    EngineOptions options = {}) {
  Listening listening;
  options.observer = listening.observer();
  Engine engine(decoder, tokenizer, options);
  std::vector<std::int64_t> ids;
  for (const GenerationRequest& request : requests) {
    ids.push_back(engine.submit(request, listening.listener()));
  }
  engine.run();
  std::vector<Told> answers;
  for (const std::int64_t id : ids) answers.push_back(listening.answer(id));
  return answers;
}

}  // namespace tigerbot
