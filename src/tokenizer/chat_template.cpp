#include "tokenizer/chat_template.h"

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/parser.h"

namespace tigerbot {

struct ChatTemplate::Syntax {
  jinja::Block block;
};

ChatTemplate::ChatTemplate(std::string_view source) {
  constexpr std::size_t kMaxSource = std::size_t{1} << 20;
  if (source.size() > kMaxSource) fail("chat template: more than {} bytes", kMaxSource);
  syntax_ = std::make_unique<const Syntax>(Syntax{jinja::parse(source)});
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(const Inputs& inputs) const {
  using jinja::Value;
  std::vector<std::pair<std::string, Value>> names = jinja::global_functions(inputs.now);
  names.emplace_back("messages", Value::from_json(inputs.messages));
  names.emplace_back("tools", Value::from_json(inputs.tools));
  names.emplace_back("documents", Value(nullptr));
  names.emplace_back("add_generation_prompt", Value(inputs.add_generation_prompt));
  names.emplace_back("bos_token", Value(inputs.bos_token));
  names.emplace_back("eos_token", Value(inputs.eos_token));
  jinja::Context context(std::move(names));
  for (const auto& [name, value] : inputs.variables) context.set(name, Value::from_json(value));
  jinja::execute(syntax_->block, context);
  return std::move(context.output());
}

namespace chat_templates {

const std::string_view kChatMl =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const std::string_view kTigerBot =
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}"
    "{{ '\\n\\n### Instruction:\\n' + message['content'] }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ '\\n\\n### Response:\\n' + message['content'] + eos_token }}"
    "{% else %}{{ raise_exception('roles are system, user and assistant') }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n\\n### Response:\\n' }}{% endif %}";

}  // namespace chat_templates

}  // namespace tigerbot
