#include "tokenizer/training/tokenizer_files.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/gguf_pre_tokenizers.h"

namespace tigerbot {

using nlohmann::ordered_json;

const std::vector<std::string>& pre_tokenizer_names() {
  static const std::vector<std::string> names{
      "gpt-2",          "smollm",      "llama-bpe", "qwen2",  "bloom",
      "gpt-4o",         "mpt",         "falcon",    "tekken", "deepseek-llm",
      "deepseek-coder", "deepseek-v3", "dbrx",      "qwen35", "command-r"};
  return names;
}

void check_roles(const TokenizerRoles& roles) {
  const auto& tokens = roles.special_tokens;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].empty()) fail("a special token is empty; leave it out");
    if (std::find(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(i), tokens[i]) !=
        tokens.begin() + static_cast<std::ptrdiff_t>(i)) {
      fail("the special token {} is given twice", quote(tokens[i]));
    }
  }
  const std::pair<const char*, const std::string*> named[] = {{"--bos-token", &roles.bos_token},
                                                              {"--eos-token", &roles.eos_token},
                                                              {"--pad-token", &roles.pad_token},
                                                              {"--unk-token", &roles.unk_token}};
  for (const auto& [name, token] : named) {
    if (!token->empty() && std::find(tokens.begin(), tokens.end(), *token) == tokens.end()) {
      fail("{} {} is not among the special tokens; add it with --special-token", name,
           quote(*token));
    }
  }
}

ordered_json added_token_json(std::size_t id, const std::string& content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

ordered_json template_processing_json(const TokenizerRoles& roles,
                                      const std::vector<std::string>& pieces) {
  const bool bos = roles.add_bos && !roles.bos_token.empty();
  const bool eos = roles.add_eos && !roles.eos_token.empty();
  if (!bos && !eos) return nullptr;
  ordered_json special = ordered_json::object();
  const auto token = [&](const std::string& text, int type) -> ordered_json {
    const auto found = std::find(pieces.begin(), pieces.end(), text);
    special[text] = {{"id", text},
                     {"ids", ordered_json::array({found - pieces.begin()})},
                     {"tokens", ordered_json::array({text})}};
    return {{"SpecialToken", {{"id", text}, {"type_id", type}}}};
  };
  const auto part = [&](ordered_json& list, const char* name, int type) {
    if (bos) list.push_back(token(roles.bos_token, type));
    list.push_back({{"Sequence", {{"id", name}, {"type_id", type}}}});
    if (eos) list.push_back(token(roles.eos_token, type));
  };
  ordered_json single = ordered_json::array(), pair = ordered_json::array();
  part(single, "A", 0);
  part(pair, "A", 0);
  part(pair, "B", 1);
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", special}};
}

ordered_json byte_level_tokenizer_json(const TrainedBpe& bpe, const TokenizerRoles& roles,
                                       const std::string& pre_tokenizer) {
  const GgufPreTokenizer form = gguf_pre_tokenizer(pre_tokenizer, "--pre-tokenizer");
  ordered_json added = ordered_json::array();
  for (std::size_t id = 0; id < roles.special_tokens.size(); ++id) {
    added.push_back(added_token_json(id, roles.special_tokens[id], true));
  }
  ordered_json vocab = ordered_json::object();
  // operator[] of an ordered object looks through all keys; this does not.
  auto& list = vocab.get_ref<ordered_json::object_t&>();
  for (std::size_t id = 0; id < bpe.pieces.size(); ++id) list.emplace_back(bpe.pieces[id], id);
  ordered_json merges = ordered_json::array();
  for (const LearnedMerge& merge : bpe.merges) {
    merges.push_back(ordered_json::array({bpe.pieces[merge.left], bpe.pieces[merge.right]}));
  }
  ordered_json processor = template_processing_json(roles, bpe.pieces);
  const ordered_json byte_level = {{"type", "ByteLevel"},
                                   {"add_prefix_space", false},
                                   {"trim_offsets", true},
                                   {"use_regex", true}};
  if (processor.is_null()) processor = byte_level;
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", ordered_json::parse(form.normalizer)},
          {"pre_tokenizer", ordered_json::parse(form.pre_tokenizer)},
          {"post_processor", std::move(processor)},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", form.ignore_merges},
            {"vocab", std::move(vocab)},
            {"merges", std::move(merges)}}}};
}

ordered_json tokenizer_config_json(const TokenizerRoles& roles,
                                   const std::string& tokenizer_class) {
  ordered_json json = {{"tokenizer_class", tokenizer_class},
                       {"clean_up_tokenization_spaces", false},
                       {"model_max_length", 1000000}};
  const auto role = [&](const char* name, const std::string& token) {
    if (!token.empty()) json[name] = token;
  };
  role("bos_token", roles.bos_token);
  role("eos_token", roles.eos_token);
  role("unk_token", roles.unk_token);
  role("pad_token", roles.pad_token);
  json["add_bos_token"] = roles.add_bos;
  json["add_eos_token"] = roles.add_eos;
  if (!roles.chat_template.empty()) json["chat_template"] = roles.chat_template;
  return json;
}

ordered_json special_tokens_map_json(const TokenizerRoles& roles) {
  ordered_json json = ordered_json::object();
  const auto role = [&](const char* name, const std::string& token) {
    if (!token.empty()) json[name] = token;
  };
  role("bos_token", roles.bos_token);
  role("eos_token", roles.eos_token);
  role("unk_token", roles.unk_token);
  role("pad_token", roles.pad_token);
  ordered_json others = ordered_json::array();
  for (const std::string& token : roles.special_tokens) {
    if (token != roles.bos_token && token != roles.eos_token && token != roles.unk_token &&
        token != roles.pad_token) {
      others.push_back(token);
    }
  }
  if (!others.empty()) json["additional_special_tokens"] = std::move(others);
  return json;
}

}  // namespace tigerbot
