#include "data/stages/chinese_script.h"

#include <unicode/translit.h>

#include <exception>
#include <opencc/SimpleConverter.hpp>
#include <vector>

#include "base/error.h"

namespace tigerbot::data {
namespace {

constexpr char32_t kFirst = 0x3400, kEnd = 0xA000;

/// Every ideograph of the range through one of ICU's transliterators, each on its own line so that
/// no phrase rule reaches from one to the next.
std::vector<char32_t> transliterate(const char* name) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::Transliterator> transliterator(
      icu::Transliterator::createInstance(name, UTRANS_FORWARD, status));
  if (U_FAILURE(status) || !transliterator)
    fail_internal("ICU has no transliterator {}: {}", name, u_errorName(status));
  icu::UnicodeString text;
  for (char32_t c = kFirst; c < kEnd; ++c) {
    text.append(static_cast<UChar32>(c));
    text.append(u'\n');
  }
  transliterator->transliterate(text);
  std::vector<char32_t> out;
  out.reserve(kEnd - kFirst);
  char32_t c = kFirst;
  for (std::int32_t at = 0; at < text.length() && c < kEnd; ++c) {
    const std::int32_t line_end = text.indexOf(u'\n', at);
    const auto first = static_cast<char32_t>(text.char32At(at));
    const bool single = line_end == at + (first > 0xFFFF ? 2 : 1);
    out.push_back(single ? first : c);
    at = line_end + 1;
  }
  out.resize(kEnd - kFirst, 0);
  return out;
}

struct Tables {
  std::vector<char32_t> simplified = transliterate("Traditional-Simplified");
  std::vector<signed char> signs = std::vector<signed char>(kEnd - kFirst, 0);

  Tables() {
    const std::vector<char32_t> traditional = transliterate("Simplified-Traditional");
    for (char32_t c = kFirst; c < kEnd; ++c) {
      const std::size_t k = c - kFirst;
      if (simplified[k] != c && traditional[k] == c) signs[k] = 1;
      if (traditional[k] != c && simplified[k] == c) signs[k] = -1;
    }
    // Simplified forms that are traditional characters of their own, or current in Taiwan.
    for (const char32_t c :
         U"台后里面只干于几余谷卜丑冬凶范朱松游佣沈姜适系胡制准别云了克才折致回向咸郁布占采淀家复"
         U"杰升群峰床吃杠夸朴岳并夥伙卷曲術担叶吁舍恤恶志党借仇蜡痴奸斤注托炮霉厘秋千辟夫困"
         U"据御征") {
      if (c >= kFirst && c < kEnd) signs[c - kFirst] = 0;
    }
  }
};

const Tables& tables() {
  static const Tables built;
  return built;
}

}  // namespace

char32_t to_simplified(char32_t c) {
  return c >= kFirst && c < kEnd ? tables().simplified[c - kFirst] : c;
}

int chinese_script_sign(char32_t c) {
  return c >= kFirst && c < kEnd ? tables().signs[c - kFirst] : 0;
}

struct ChineseConverter::Impl {
  // Never copied: copies of a SimpleConverter share what the first one to go destroys.
  explicit Impl(const char* configuration) : converter(configuration) {}
  opencc::SimpleConverter converter;
};

ChineseConverter::ChineseConverter(Target target) : target_(target) {
  const char* const configuration = target == Target::kSimplified ? "t2s.json" : "s2t.json";
  try {
    impl_ = std::make_unique<Impl>(configuration);
  } catch (const std::exception& error) {
    fail("OpenCC can't open {} ({}); install the package libopencc-data", configuration,
         error.what());
  }
}

ChineseConverter::~ChineseConverter() = default;

std::string ChineseConverter::convert(std::string_view text) const {
  return impl_->converter.Convert(text.data(), text.size());
}

}  // namespace tigerbot::data
