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
// Letters with case. Some of these characters have canonical equivalents, so they are escaped.
constexpr std::string_view kDeepseekLetters =
    "\\s?"
    "[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295"
    "-\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-"
    "\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5"
    "\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00"
    "-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-"
    "\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-"
    "\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-"
    "\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149"
    "\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D"
    "\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13"
    "-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3"
    "\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF"
    "\U0001E900-\U0001E943]"
    "+";

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
    {kQwen35Names, false, false, false,
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
