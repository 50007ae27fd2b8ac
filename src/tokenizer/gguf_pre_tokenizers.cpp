#include "tokenizer/gguf_pre_tokenizers.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "base/error.h"

namespace tigerbot {
namespace {

using Json = nlohmann::json;

Json split(std::string_view pattern) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", pattern}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json digits(bool individual) { return {{"type", "Digits"}, {"individual_digits", individual}}; }

constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBloom = R"( ?[^(\s|[.,!?…。，、।۔،])]+)";
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepseekV3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepseekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";

constexpr std::string_view kGpt2Names[] = {"gpt-2", "phi-2", "jina-es", "jina-de"};
constexpr std::string_view kNeoxNames[] = {"mpt", "olmo"};
constexpr std::string_view kSmolLmNames[] = {"smollm", "starcoder", "refact", "codeshell"};
constexpr std::string_view kCommandRNames[] = {"command-r"};
constexpr std::string_view kLlama3Names[] = {"llama-bpe", "llama3", "llama-v3"};
constexpr std::string_view kDbrxNames[] = {"dbrx", "smaug-bpe", "chatglm-bpe"};
constexpr std::string_view kQwen2Names[] = {"qwen2", "deepseek-r1-qwen"};
constexpr std::string_view kQwen35Names[] = {"qwen35"};
constexpr std::string_view kBloomNames[] = {"bloom"};
constexpr std::string_view kGpt4oNames[] = {"gpt-4o", "llama4"};
constexpr std::string_view kTekkenNames[] = {"tekken"};
constexpr std::string_view kDeepseekCoderNames[] = {"deepseek-coder"};
constexpr std::string_view kDeepseekLlmNames[] = {"deepseek-llm"};
constexpr std::string_view kDeepseekV3Names[] = {"deepseek-v3"};
constexpr std::string_view kFalconNames[] = {"falcon"};

struct Family {
  std::span<const std::string_view> names;
  bool nfc;
  bool ignore_merges;
  bool add_bos;
  std::vector<Json> (*steps)();
};

const Family kFamilies[] = {
    {kGpt2Names, false, false, false, [] { return std::vector<Json>{byte_level(true)}; }},
    {kNeoxNames, true, false, false, [] { return std::vector<Json>{byte_level(true)}; }},
    {kSmolLmNames, false, false, false,
     [] {
       return std::vector<Json>{digits(true), byte_level(true)};
     }},
    {kCommandRNames, true, false, true,
     [] {
       return std::vector<Json>{digits(true), byte_level(true)};
     }},
    {kLlama3Names, false, true, true,
     [] {
       return std::vector<Json>{split(kLlama3), byte_level(false)};
     }},
    {kDbrxNames, false, false, false,
     [] {
       return std::vector<Json>{split(kLlama3), byte_level(false)};
     }},
    {kQwen2Names, true, false, false,
     [] {
       return std::vector<Json>{split(kQwen2), byte_level(false)};
     }},
    {kQwen35Names, true, false, false,
     [] {
       return std::vector<Json>{split(kQwen35), byte_level(false)};
     }},
    {kBloomNames, false, false, false,
     [] {
       return std::vector<Json>{split(kBloom), byte_level(false)};
     }},
    {kGpt4oNames, false, false, false,
     [] {
       return std::vector<Json>{split(kGpt4o), byte_level(false)};
     }},
    {kTekkenNames, false, true, true,
     [] {
       return std::vector<Json>{split(kTekken), byte_level(false)};
     }},
    {kDeepseekCoderNames, false, false, true,
     [] {
       return std::vector<Json>{split(R"([\r\n])"),    split(R"(\s?\p{L}+)"),
                                split(R"(\s?\p{P}+)"), split("[一-龥ࠀ-一가-퟿]+"),
                                digits(true),          byte_level(false)};
     }},
    {kDeepseekLlmNames, false, false, true,
     [] {
       return std::vector<Json>{split(R"([\r\n])"),
                                split(kDeepseekLetters),
                                split(R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)"),
                                split(R"(\s+$)"),
                                split("[一-龥ࠀ-一가-퟿]+"),
                                digits(true),
                                byte_level(false)};
     }},
    {kDeepseekV3Names, false, false, true,
     [] {
       return std::vector<Json>{split(R"(\p{N}{1,3})"), split("[一-龥぀-ゟ゠-ヿ]+"),
                                split(kDeepseekV3), byte_level(false)};
     }},
    {kFalconNames, false, false, false,
     [] {
       const Json punctuation = {{"type", "Punctuation"}, {"behavior", "Contiguous"}};
       return std::vector<Json>{punctuation, byte_level(true), digits(false),
                                split("[0-9][0-9][0-9]")};
     }},
};

}  // namespace

GgufPreTokenizer gguf_pre_tokenizer(std::string_view name, const std::string& path) {
  for (const Family& family : kFamilies) {
    if (std::find(family.names.begin(), family.names.end(), name) == family.names.end()) continue;
    GgufPreTokenizer result;
    result.normalizer = family.nfc ? R"({"type":"NFC"})" : "null";
    result.pre_tokenizer = Json{{"type", "Sequence"}, {"pretokenizers", family.steps()}}.dump();
    result.ignore_merges = family.ignore_merges;
    result.add_bos = family.add_bos;
    return result;
  }
  std::string known;
  for (const Family& family : kFamilies) {
    for (const std::string_view other : family.names) {
      if (!known.empty()) known += ", ";
      known += other;
    }
  }
  fail("{}: the pre-tokenizer \"{}\" (tokenizer.ggml.pre) is not known; known are {}", path, name,
       known);
}

}  // namespace tigerbot
