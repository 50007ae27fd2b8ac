#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tigerbot {

/// A model's chat template: Jinja source, as Hugging Face's tokenizer_config.json and GGUF carry
/// it, rendered as transformers' apply_chat_template does. Immutable; safe to use from many
/// threads.
///
/// The language is the part of Jinja that chat templates use: output, if, for (with a condition,
/// else, break, continue), set, macro, call, filter, with, raw and generation blocks; all of the
/// operators; filters, tests and methods that fit (an unknown one is an error at once). A template
/// that would loop or recurse without end is stopped with an error.
class ChatTemplate {
 public:
  /// Parses `source`; a mistake in it is an error that names the line.
  explicit ChatTemplate(std::string_view source);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  struct Inputs {
    /// A list of objects with `role` and `content` (and what else the template reads).
    nlohmann::ordered_json messages;
    /// A list of functions in OpenAI's form, or null.
    nlohmann::ordered_json tools;
    bool add_generation_prompt = true;
    std::string bos_token;
    std::string eos_token;
    /// What strftime_now() takes for now, in seconds since 1970; the clock where not given.
    std::optional<std::int64_t> now;
    /// Further variables (`enable_thinking`, `documents`, ...).
    std::vector<std::pair<std::string, nlohmann::ordered_json>> variables;
  };

  /// The prompt. What the template itself refuses (`raise_exception`) is an error.
  std::string render(const Inputs& inputs) const;

 private:
  struct Syntax;
  std::unique_ptr<const Syntax> syntax_;
};

/// Templates of their own for models that bring none.
namespace chat_templates {
/// <|im_start|>role\ncontent<|im_end|>\n
extern const std::string_view kChatMl;
/// TigerBot's published chat models: "\n\n### Instruction:\n" and "\n\n### Response:\n", many
/// turns.
extern const std::string_view kTigerBot;
}  // namespace chat_templates

}  // namespace tigerbot
