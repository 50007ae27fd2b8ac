#include "serve/generation_answer.h"

#include <algorithm>

#include "serve/api/error.h"

namespace tigerbot::serve {

using Clock = std::chrono::steady_clock;

namespace {

std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

/// Where the engine's thread leaves its news.
struct GenerationAnswer::Inbox {
  std::mutex mutex;
  std::vector<std::pair<std::size_t, GenerationUpdate>> updates;
  std::function<void()> notify;  // empty: nobody listens any more
};

struct GenerationAnswer::Choice {
  ChoiceNews news;                      // not written yet
  std::optional<ToolCallReader> calls;  // takes them out of the text
  std::int64_t calls_so_far = 0;
  std::int64_t new_tokens = 0;
  bool finished = false;  // the engine has said all
  bool written = false;   // and we have
  std::string text;       // for the log
};

GenerationAnswer::GenerationAnswer(std::shared_ptr<ServingModel> model,
                                   GenerationAnswerOptions options,
                                   std::unique_ptr<ResponseFormat> format,
                                   std::shared_ptr<ApiKey> key,
                                   std::shared_ptr<AnswerSummary> summary)
    : model_(std::move(model)),
      options_(std::move(options)),
      format_(std::move(format)),
      key_(std::move(key)),
      summary_(std::move(summary)),
      inbox_(std::make_shared<Inbox>()) {
  for (const GenerationRequest& request : options_.requests) {
    for (std::int64_t i = 0; i < request.n; ++i) {
      Choice& choice = choices_.emplace_back();
      choice.news.index = static_cast<std::int64_t>(choices_.size()) - 1;
      choice.news.first = true;
      if (options_.tools) choice.calls.emplace(*options_.tools);
    }
    Usage& usage = prompts_.emplace_back();
    usage.prompt_tokens = static_cast<std::int64_t>(request.prompt.size());
  }
}

GenerationAnswer::~GenerationAnswer() {
  {
    // The connection may be gone before the engine hears that nobody listens any more.
    const std::lock_guard lock(inbox_->mutex);
    inbox_->notify = nullptr;
  }
  if (!done_) {
    for (const std::int64_t id : ids_) model_->engine().cancel(id);
  }
  finish();
}

void GenerationAnswer::start(std::function<void()> notify) {
  inbox_->notify = std::move(notify);
  try {
    for (std::size_t i = 0; i < options_.requests.size(); ++i) {
      struct Times {
        Clock::time_point last;
        std::int64_t tokens = 0;
      };
      const auto count = static_cast<std::size_t>(options_.requests[i].n);
      auto times = std::make_shared<std::vector<Times>>(count);
      const auto listener = [inbox = inbox_, i, times, model = model_.get(),
                             received = options_.received](const GenerationUpdate& update) {
        const auto now = Clock::now();
        ModelMetrics& metrics = model->metrics();
        Times& time = (*times)[static_cast<std::size_t>(update.index)];
        const auto since = [now](Clock::time_point begin) {
          return std::chrono::duration<double>(now - begin).count();
        };
        if (const std::int64_t fresh = update.new_tokens - time.tokens; fresh > 0) {
          if (time.tokens == 0) {
            metrics.time_to_first_token.observe(since(received));
          } else {
            metrics.time_between_tokens.observe(since(time.last) / static_cast<double>(fresh),
                                                static_cast<std::uint64_t>(fresh));
          }
          time = {now, update.new_tokens};
        }
        if (update.finished) metrics.answer_time.observe(since(received));
        const std::lock_guard lock(inbox->mutex);
        if (!inbox->notify) return;
        inbox->updates.emplace_back(i, update);
        inbox->notify();
      };
      ids_.push_back(model_->engine().submit(std::move(options_.requests[i]), listener));
    }
  } catch (const QueueFullError& error) {
    error_.emplace(503, "server_error", error.what(), "", "queue_full");
    error_->retry_after = 1;
  } catch (const Error& error) {
    error_.emplace(error.kind() == Error::Kind::kUser ? 400 : 500,
                   error.kind() == Error::Kind::kUser ? "invalid_request_error" : "server_error",
                   error.what());
  }
  if (error_) inbox_->notify();
}

void GenerationAnswer::take(std::size_t request, GenerationUpdate& update) {
  // Every request has as many choices as the others.
  const std::size_t each = choices_.size() / prompts_.size();
  Choice& choice = choices_[request * each + static_cast<std::size_t>(update.index)];
  prompts_[request].cached_tokens =
      std::max(prompts_[request].cached_tokens, update.cached_prompt_tokens);
  if (choice.new_tokens == 0 && update.new_tokens > 0) {
    const std::lock_guard lock(summary_->mutex);
    if (summary_->first_token_seconds == 0) {
      summary_->first_token_seconds = seconds_since(options_.received);
    }
  }
  choice.new_tokens = update.new_tokens;
  ChoiceNews& news = choice.news;
  if (options_.keep_text) choice.text += update.text;
  if (choice.calls) {
    const auto add = [&](ToolCallReader::News found) {
      const bool full = !options_.parallel_calls && choice.calls_so_far > 0;
      if (!full) news.text += found.text;
      for (ToolCall& call : found.calls) {
        if (!options_.parallel_calls && choice.calls_so_far > 0) break;
        ++choice.calls_so_far;
        news.calls.push_back(std::move(call));
      }
    };
    add(choice.calls->push(update.text));
    if (update.finished) add(choice.calls->finish());
  } else {
    news.text += update.text;
  }
  news.logprobs.insert(news.logprobs.end(), update.logprobs.begin(), update.logprobs.end());
  if (!update.finished) return;
  choice.finished = true;
  switch (update.reason) {
    case FinishReason::kStop:
      news.finish_reason = choice.calls_so_far > 0 ? "tool_calls" : "stop";
      break;
    case FinishReason::kLength:
      news.finish_reason = "length";
      break;
    case FinishReason::kTimeout:
      error_.emplace(503, "server_error", "the request waited too long; try again later", "",
                     "queue_timeout");
      error_->retry_after = 1;
      break;
    case FinishReason::kCancelled:
      error_.emplace(503, "server_error", "the server is shutting down", "", "shutting_down");
      break;
    case FinishReason::kError:
      error_.emplace(500, "server_error",
                     update.error.empty() ? "the engine failed" : update.error);
      break;
  }
}

std::string GenerationAnswer::events() {
  std::string text;
  for (Choice& choice : choices_) {
    ChoiceNews& news = choice.news;
    if (choice.written) continue;
    const bool something = !news.text.empty() || !news.logprobs.empty() || !news.calls.empty() ||
                           choice.finished || (news.first && choice.new_tokens > 0);
    if (!something) continue;
    text += event(format_->chunk(news));
    const std::int64_t index = news.index;
    news = {};
    news.index = index;
    news.first_call = choice.calls_so_far;
    choice.written = choice.finished;
  }
  return text;
}

PendingAnswer::News GenerationAnswer::failed(const ApiError& error) {
  for (const std::int64_t id : ids_) model_->engine().cancel(id);
  {
    const std::lock_guard lock(summary_->mutex);
    summary_->error = error.what();
  }
  finish();
  News news;
  news.ended = true;
  if (head_sent_) {
    news.body = event(error_body(error));
  } else {
    news.head = error_response(error);
    news.body = news.head->body;
  }
  return news;
}

Usage GenerationAnswer::usage() const {
  Usage total;
  for (const Usage& prompt : prompts_) {
    total.prompt_tokens += prompt.prompt_tokens;
    total.cached_tokens += prompt.cached_tokens;
  }
  for (const Choice& choice : choices_) total.completion_tokens += choice.new_tokens;
  return total;
}

void GenerationAnswer::finish() {
  if (std::exchange(done_, true)) return;
  const Usage total = usage();
  if (key_) key_->charge_tokens(total.prompt_tokens + total.completion_tokens, Clock::now());
  const std::lock_guard lock(summary_->mutex);
  summary_->usage = total;
  for (Choice& choice : choices_) {
    if (!choice.news.finish_reason.empty()) summary_->finish_reason = choice.news.finish_reason;
    if (!choice.text.empty()) summary_->text += (summary_->text.empty() ? "" : "\n") + choice.text;
  }
}

PendingAnswer::News GenerationAnswer::poll() {
  std::vector<std::pair<std::size_t, GenerationUpdate>> updates;
  {
    const std::lock_guard lock(inbox_->mutex);
    updates.swap(inbox_->updates);
  }
  for (auto& [request, update] : updates) take(request, update);
  if (error_) return failed(*error_);
  News news;
  const bool finished = std::all_of(choices_.begin(), choices_.end(),
                                    [](const Choice& choice) { return choice.finished; });
  if (!options_.stream) {
    if (!finished) return news;
    finish();
    std::vector<ChoiceNews> whole;
    for (Choice& choice : choices_) whole.push_back(std::move(choice.news));
    news.head.emplace();
    news.body = format_->whole(whole, usage());
    news.ended = true;
    return news;
  }
  if (updates.empty()) return news;
  if (finished) finish();
  news.body = events();
  if (finished) {
    if (options_.include_usage) news.body += event(format_->usage_chunk(usage()));
    news.body += "data: [DONE]\n\n";
    news.ended = true;
  }
  if (!head_sent_ && !news.body.empty()) {
    head_sent_ = true;
    news.head.emplace();
    news.head->content_type = "text/event-stream; charset=utf-8";
    news.head->headers = {{"cache-control", "no-cache"}, {"x-accel-buffering", "no"}};
  }
  return news;
}

}  // namespace tigerbot::serve
