#include "infer/conversation.h"

#include <algorithm>

#include "base/error.h"

namespace tigerbot {

Conversation::Conversation(LanguageModel& model, const GenerationRequest& settings,
                           const EngineOptions& engine)
    : model_(model), settings_(settings), engine_(engine) {}

void Conversation::reset() {
  const bool has_system = !messages_.empty() && messages_.front().role == "system";
  messages_.resize(has_system ? 1 : 0);
}

void Conversation::set_system(std::string text) {
  messages_.clear();
  if (!text.empty()) messages_.push_back({"system", std::move(text)});
}

Conversation::Answer Conversation::ask(std::string message,
                                       const std::function<void(std::string_view)>& show,
                                       const std::atomic<bool>& stop) {
  std::vector<ChatMessage> turns = messages_;
  turns.push_back({"user", std::move(message)});

  // The oldest question and answer go first, until a quarter of the context (or what the answer may
  // take, if less) is free.
  Answer answer;
  std::vector<TokenId> prompt = model_.encode_chat(messages_json(turns));
  const std::int64_t context = context_length(model_.files().config, engine_);
  const std::int64_t room = std::min(settings_.max_new_tokens, context / 4);
  while (context > 0 && static_cast<std::int64_t>(prompt.size()) + room > context) {
    const std::size_t first = turns.front().role == "system" ? 1 : 0;
    if (turns.size() < first + 3) break;
    turns.erase(turns.begin() + static_cast<std::ptrdiff_t>(first),
                turns.begin() + static_cast<std::ptrdiff_t>(first + 2));
    answer.forgotten += 2;
    prompt = model_.encode_chat(messages_json(turns));
  }

  GenerationRequest request = settings_;
  request.prompt = std::move(prompt);
  request.stop_token_ids = model_.stop_token_ids();
  EngineOptions options = engine_;
  const auto tokens = static_cast<std::int64_t>(request.prompt.size());
  options.cache_tokens = tokens + request.max_new_tokens;
  if (context > 0) options.cache_tokens = std::min(options.cache_tokens, std::max(context, tokens));
  Engine engine(model_.decoder(), model_.tokenizer(), options);
  const std::int64_t id = engine.submit(std::move(request), [&](const GenerationUpdate& update) {
    answer.text += update.text;
    if (!update.text.empty()) show(update.text);
    if (!update.finished) return;
    answer.reason = update.reason;
    answer.prompt_tokens = update.prompt_tokens;
    answer.new_tokens = update.new_tokens;
  });
  while (engine.step()) {
    if (stop.load()) engine.cancel(id);
  }
  turns.push_back({"assistant", answer.text});
  messages_ = std::move(turns);
  return answer;
}

}  // namespace tigerbot
