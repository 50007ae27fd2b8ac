#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "infer/request.h"
#include "serve/api/tool_calls.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot::serve {

struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t cached_tokens = 0;  ///< of the prompt, found in the cache
};

/// What is new of one choice, or all of it.
struct ChoiceNews {
  std::int64_t index = 0;
  bool first = false;  ///< nothing came before
  std::string text;
  std::vector<TokenLogprobs> logprobs;
  std::vector<ToolCall> calls;
  std::int64_t first_call = 0;  ///< how many calls came before
  std::string finish_reason;    ///< empty: not finished
};

/// How answers are written: chat or text completions.
class ResponseFormat {
 public:
  virtual ~ResponseFormat() = default;
  /// One event's JSON of a stream.
  virtual std::string chunk(const ChoiceNews& news) = 0;
  virtual std::string usage_chunk(const Usage& usage) = 0;
  /// The whole answer.
  virtual std::string whole(const std::vector<ChoiceNews>& choices, const Usage& usage) = 0;
};

struct ResponseHead {
  std::string id;
  std::int64_t created = 0;
  std::string model;
  bool include_usage = false;  ///< chunks say "usage": null
  bool logprobs = false;
  const Tokenizer* tokenizer = nullptr;
};

std::unique_ptr<ResponseFormat> make_chat_format(const ResponseHead& head);
/// `prefixes`: text that comes before each choice's own ("echo"); empty: none.
std::unique_ptr<ResponseFormat> make_text_format(const ResponseHead& head,
                                                 std::vector<std::string> prefixes);

/// What "system_fingerprint" says.
const std::string& system_fingerprint();

}  // namespace tigerbot::serve
