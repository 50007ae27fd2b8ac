#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "infer/language_model.h"

namespace tigerbot {

/// A dialogue with a model that remembers its turns and keeps within the model's context.
class Conversation {
 public:
  /// `model` must outlive the conversation. Of `engine`, the cache's size is the conversation's
  /// business.
  Conversation(LanguageModel& model, const GenerationRequest& settings,
               const EngineOptions& engine = {});

  struct Answer {
    std::string text;
    FinishReason reason = FinishReason::kStop;
    std::int64_t prompt_tokens = 0;
    std::int64_t new_tokens = 0;
    std::size_t forgotten = 0;  ///< messages dropped from the beginning to make room
  };

  /// Adds a user's message and streams the answer through `show`; `stop` set ends it early (what
  /// was said stays). An Error leaves the conversation as it was.
  Answer ask(std::string message, const std::function<void(std::string_view)>& show,
             const std::atomic<bool>& stop);

  /// Forgets all turns but the system message.
  void reset();
  /// Sets the system message (empty: none) and forgets all turns.
  void set_system(std::string text);

  const std::vector<ChatMessage>& messages() const { return messages_; }

 private:
  LanguageModel& model_;
  GenerationRequest settings_;
  EngineOptions engine_;
  std::vector<ChatMessage> messages_;
};

}  // namespace tigerbot
