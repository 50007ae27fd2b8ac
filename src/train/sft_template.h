#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"
#include "train/sft_rows.h"

namespace tigerbot::train {

/// An example as the model sees it.
struct SftExample {
  std::vector<TokenId> ids;
  /// labels[i] is ids[i + 1] where that token is part of an answer, else -100.
  std::vector<std::int64_t> labels;
  int source = 0;
};

/// Writes conversations as a chat template does, and knows which tokens the assistant said.
///
/// Any template serves: an answer's text is what stands between the conversation before it with the
/// generation prompt, and the conversation with it. Where a template writes earlier turns otherwise
/// once more follow (some drop the thinking of past answers), the answer is found by its content in
/// the whole text. The token that ends a turn belongs to the answer; white space after it does not.
class SftTemplate {
 public:
  /// `source` is Jinja; the tokens are the tokenizer's beginning and end of a sequence as text.
  SftTemplate(std::string_view source, std::string bos_token, std::string eos_token);

  /// The ids and labels of a conversation. `place` begins errors.
  SftExample encode(const Conversation& conversation, const Tokenizer& tokenizer,
                    const std::string& place) const;

  /// The text, and where in it the answers are: [begin, end) in bytes.
  struct Rendered {
    std::string text;
    std::vector<std::pair<std::size_t, std::size_t>> answers;
  };
  Rendered render(const Conversation& conversation, const std::string& place) const;

 private:
  std::string render(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools,
                     bool add_generation_prompt) const;
  Conversation adapted(const Conversation& conversation) const;
  std::optional<std::pair<std::size_t, std::size_t>> by_prefixes(const Conversation& conversation,
                                                                 std::size_t message,
                                                                 const std::string& text) const;
  std::optional<std::pair<std::size_t, std::size_t>> by_content(const Conversation& conversation,
                                                                std::size_t message,
                                                                const std::string& text) const;

  ChatTemplate template_;
  std::string bos_token_, eos_token_;
  bool knows_tool_calls_, knows_tools_, knows_tool_role_, knows_system_;
};

}  // namespace tigerbot::train
