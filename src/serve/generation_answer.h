#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "serve/api/error.h"
#include "serve/api/response_format.h"
#include "serve/http/message.h"
#include "serve/keys.h"
#include "serve/serving_model.h"

namespace tigerbot::serve {

/// What the access log says of an answer; filled in as it is made.
struct AnswerSummary {
  std::mutex mutex;
  std::string model;
  std::string key;
  Usage usage;
  double first_token_seconds = 0;
  std::string finish_reason;
  std::string error;
  std::string prompt, text;  ///< only if asked for
};

struct GenerationAnswerOptions {
  std::vector<GenerationRequest> requests;  ///< to one model; each has its own choices
  bool stream = false;
  bool include_usage = false;
  /// Calls are taken out of the text.
  std::optional<ToolFormat> tools;
  bool parallel_calls = true;
  bool keep_text = false;  ///< in the summary
  std::chrono::steady_clock::time_point received;
};

/// The answer to a completion: hears of tokens from the engine's thread and writes them as OpenAI's
/// API does, whole or as server-sent events. What comes while the client is still taking the last
/// event goes into the next one. Its end cancels what is not done.
class GenerationAnswer : public PendingAnswer {
 public:
  GenerationAnswer(std::shared_ptr<ServingModel> model, GenerationAnswerOptions options,
                   std::unique_ptr<ResponseFormat> format, std::shared_ptr<ApiKey> key,
                   std::shared_ptr<AnswerSummary> summary);
  ~GenerationAnswer() override;

  void start(std::function<void()> notify) override;
  News poll() override;

 private:
  struct Inbox;
  struct Choice;

  void take(std::size_t request, GenerationUpdate& update);
  std::string events();
  News failed(const ApiError& error);
  void finish();
  Usage usage() const;

  std::shared_ptr<ServingModel> model_;
  GenerationAnswerOptions options_;
  std::unique_ptr<ResponseFormat> format_;
  std::shared_ptr<ApiKey> key_;
  std::shared_ptr<AnswerSummary> summary_;
  std::shared_ptr<Inbox> inbox_;
  std::vector<std::int64_t> ids_;
  std::vector<Choice> choices_;  // those of the first request first
  std::vector<Usage> prompts_;   // of each request, without the completions
  std::optional<ApiError> error_;
  bool head_sent_ = false;
  bool done_ = false;
};

}  // namespace tigerbot::serve
