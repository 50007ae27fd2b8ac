#include "data/readers/encoding.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>
#include <unicode/ucnv_err.h>
#include <unicode/ucsdet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <utility>

#include "base/utf8.h"
#include "data/readers/common_characters.h"

namespace tigerbot::data {
namespace {

constexpr std::size_t kLookAt = 64 << 10;

std::string lower_label(std::string_view name) {
  std::string out;
  for (const char c : name)
    if (std::isspace(static_cast<unsigned char>(c)) == 0 && c != '"' && c != '\'')
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// What ICU shall use for a label of the web: the supersets that browsers take (WHATWG's Encoding
/// standard, section 4.2). Label in lower case, our name for it, ICU's name.
struct Label {
  std::string_view label, name, converter;
};
constexpr std::array kLabels{
    Label{"gb18030", "GB18030", "gb18030"},
    Label{"gb2312", "GB18030", "gb18030"},
    Label{"gb_2312-80", "GB18030", "gb18030"},
    Label{"gbk", "GB18030", "gb18030"},
    Label{"x-gbk", "GB18030", "gb18030"},
    Label{"big5", "Big5", "Big5-HKSCS"},
    Label{"big5-hkscs", "Big5", "Big5-HKSCS"},
    Label{"x-x-big5", "Big5", "Big5-HKSCS"},
    Label{"shift_jis", "Shift_JIS", "windows-31j"},
    Label{"shift-jis", "Shift_JIS", "windows-31j"},
    Label{"sjis", "Shift_JIS", "windows-31j"},
    Label{"x-sjis", "Shift_JIS", "windows-31j"},
    Label{"windows-31j", "Shift_JIS", "windows-31j"},
    Label{"ms_kanji", "Shift_JIS", "windows-31j"},
    Label{"euc-jp", "EUC-JP", "EUC-JP"},
    Label{"x-euc-jp", "EUC-JP", "EUC-JP"},
    Label{"euc-kr", "EUC-KR", "windows-949-2000"},
    Label{"ks_c_5601-1987", "EUC-KR", "windows-949-2000"},
    Label{"ksc5601", "EUC-KR", "windows-949-2000"},
    Label{"windows-949", "EUC-KR", "windows-949-2000"},
    Label{"iso-8859-1", "windows-1252", "windows-1252"},
    Label{"iso8859-1", "windows-1252", "windows-1252"},
    Label{"latin1", "windows-1252", "windows-1252"},
    Label{"us-ascii", "windows-1252", "windows-1252"},
    Label{"ascii", "windows-1252", "windows-1252"},
    Label{"windows-1252", "windows-1252", "windows-1252"},
    Label{"utf8", "UTF-8", "UTF-8"},
};

Label find_label(std::string_view name) {
  const std::string lower = lower_label(name);
  for (const auto& entry : kLabels)
    if (entry.label == lower) return entry;
  return {"", name, name};  // ICU may know it
}

struct CloseConverter {
  void operator()(UConverter* converter) const { ucnv_close(converter); }
};

/// ICU calls this for bytes without meaning: U+FFFD goes in, and they are counted.
void count_and_substitute(const void* context, UConverterToUnicodeArgs* arguments,
                          const char* /*bytes*/, int32_t /*length*/,
                          UConverterCallbackReason reason, UErrorCode* status) {
  if (reason > UCNV_IRREGULAR) return;
  ++*static_cast<std::size_t*>(const_cast<void*>(context));
  constexpr UChar kReplacement = 0xFFFD;
  *status = U_ZERO_ERROR;
  ucnv_cbToUWriteUChars(arguments, &kReplacement, 1, 0, status);
}

struct Decoded {
  std::string text;
  std::size_t errors = 0;
};

/// In pieces, so that the UTF-16 in between stays small.
std::optional<Decoded> run_converter(std::string_view bytes, const std::string& converter_name) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UConverter, CloseConverter> converter(
      ucnv_open(converter_name.c_str(), &status));
  if (U_FAILURE(status)) return std::nullopt;
  Decoded out;
  ucnv_setToUCallBack(converter.get(), count_and_substitute, &out.errors, nullptr, nullptr,
                      &status);
  if (U_FAILURE(status)) return std::nullopt;
  out.text.reserve(bytes.size() + bytes.size() / 2);
  std::array<UChar, 4096> units{};
  const char* from = bytes.data();
  const char* const end = from + bytes.size();
  char32_t high = 0;  // a surrogate that waits for its other half
  while (true) {
    UChar* to = units.data();
    status = U_ZERO_ERROR;
    ucnv_toUnicode(converter.get(), &to, units.data() + units.size(), &from, end, nullptr, true,
                   &status);
    for (const UChar* unit = units.data(); unit != to; ++unit) {
      if (high != 0 && (*unit & 0xFC00) == 0xDC00) {
        append_utf8(out.text, 0x10000 + ((high & 0x3FF) << 10) + (*unit & 0x3FFu));
        high = 0;
        continue;
      }
      if (high != 0) append_utf8(out.text, kReplacementCharacter);
      high = (*unit & 0xFC00) == 0xD800 ? *unit : 0;
      if (high == 0) append_utf8(out.text, *unit);
    }
    if (status != U_BUFFER_OVERFLOW_ERROR) break;
  }
  if (high != 0) append_utf8(out.text, kReplacementCharacter);
  if (U_FAILURE(status)) return std::nullopt;
  return out;
}

/// How much a decoding looks like text of its language, from 0 to 1: the share of characters
/// outside ASCII that are among the language's most frequent ones. Right decodings reach 0.3 to
/// 0.9, wrong ones less than 0.1. Bytes without meaning count against it.
double plausibility(const Decoded& decoded, std::u32string_view sorted_common, bool kana) {
  std::size_t characters = 0, common = 0;
  for (std::size_t at = 0; at < decoded.text.size();) {
    const Utf8Step step = decode_utf8(decoded.text, at);
    at += step.length;
    const char32_t c = step.code_point;
    if (c < 0x80) continue;
    ++characters;
    const bool is_kana = c >= 0x3041 && c <= 0x30FE;
    if ((kana && is_kana) || std::binary_search(sorted_common.begin(), sorted_common.end(), c))
      ++common;
  }
  if (characters == 0) return 0;
  const double good = static_cast<double>(common) - 3.0 * static_cast<double>(decoded.errors);
  return std::max(0.0, good / static_cast<double>(characters));
}

struct Guess {
  std::string_view name;
  double score = 0;
};

/// The likeliest multi-byte encoding of East Asia.
Guess guess_east_asian(std::string_view bytes) {
  struct Candidate {
    std::string_view name;
    const std::u32string& common;
    bool kana;
  };
  const CommonCharacters& common = common_characters();
  const std::array candidates{
      Candidate{"GB18030", common.simplified, false}, Candidate{"Big5", common.traditional, false},
      Candidate{"Shift_JIS", common.japanese, true},  Candidate{"EUC-JP", common.japanese, true},
      Candidate{"EUC-KR", common.korean, false},
  };
  Guess best;
  for (const auto& candidate : candidates) {
    const auto decoded = run_converter(bytes, std::string(find_label(candidate.name).converter));
    if (!decoded) continue;
    const double score = plausibility(*decoded, candidate.common, candidate.kana);
    if (score > best.score) best = {candidate.name, score};
  }
  return best;
}

/// ICU's detector, for what is not East Asian.
std::string guess_single_byte(std::string_view bytes) {
  UErrorCode status = U_ZERO_ERROR;
  struct Close {
    void operator()(UCharsetDetector* detector) const { ucsdet_close(detector); }
  };
  const std::unique_ptr<UCharsetDetector, Close> detector(ucsdet_open(&status));
  if (U_FAILURE(status)) return "";
  ucsdet_setText(detector.get(), bytes.data(), static_cast<int32_t>(bytes.size()), &status);
  int32_t count = 0;
  const UCharsetMatch** matches = ucsdet_detectAll(detector.get(), &count, &status);
  if (U_FAILURE(status)) return "";
  for (int32_t k = 0; k < count; ++k) {
    const std::string name = ucsdet_getName(matches[k], &status);
    if (!name.starts_with("ISO-8859") && !name.starts_with("windows-") && name != "KOI8-R")
      continue;
    if (ucsdet_getConfidence(matches[k], &status) < 10) break;
    return name == "ISO-8859-1" ? "windows-1252" : name;
  }
  return "";
}

struct Utf8Count {
  std::size_t good = 0, bad = 0;  ///< multi-byte characters, invalid subparts
};

Utf8Count count_utf8(std::string_view bytes) {
  Utf8Count count;
  for (std::size_t at = 0; at < bytes.size();) {
    const Utf8Step step = decode_utf8(bytes, at);
    if (step.length > 1 && step.valid) ++count.good;
    if (!step.valid) ++count.bad;
    at += step.length;
  }
  return count;
}

bool has_iso_2022_jp(std::string_view bytes) {
  return bytes.find("\x1b$B") != std::string_view::npos ||
         bytes.find("\x1b$@") != std::string_view::npos;
}

Converted converted(Decoded decoded, std::string_view name) {
  if (decoded.text.starts_with("\xef\xbb\xbf")) decoded.text.erase(0, 3);
  return {std::move(decoded.text), std::string(name), decoded.errors > 0};
}

}  // namespace

std::string wide_encoding(std::string_view bytes) {
  using namespace std::literals;
  if (bytes.starts_with("\xff\xfe\0\0"sv) || bytes.starts_with("\0\0\xfe\xff"sv)) return "UTF-32";
  if (bytes.starts_with("\xff\xfe"sv) || bytes.starts_with("\xfe\xff"sv)) return "UTF-16";
  const auto part = bytes.substr(0, 4096);
  if (part.size() < 16) return "";
  std::array<std::size_t, 2> nuls{}, spaces{};
  for (std::size_t at = 0; at + 1 < part.size(); at += 2) {
    nuls[0] += part[at] == '\0';
    nuls[1] += part[at + 1] == '\0';
    spaces[0] += part[at] == '\0' && (part[at + 1] == '\n' || part[at + 1] == ' ');
    spaces[1] += part[at + 1] == '\0' && (part[at] == '\n' || part[at] == ' ');
  }
  const std::size_t pairs = part.size() / 2;
  // In Chinese text little more than the line ends has a NUL; in Korean the frequent U+AC00 has one
  // on the other side.
  for (const std::size_t side : {0, 1})
    if (nuls[side] * 50 >= pairs && nuls[1 - side] * 4 < nuls[side] && spaces[side] * 100 >= pairs)
      return side == 1 ? "UTF-16LE" : "UTF-16BE";
  return "";
}

std::optional<Converted> decode_as(std::string_view bytes, std::string_view encoding) {
  const Label label = find_label(encoding);
  auto decoded = run_converter(bytes, std::string(label.converter));
  if (!decoded) return std::nullopt;
  if (!label.label.empty()) return converted(std::move(*decoded), label.name);
  // Not in our table. ICU is generous about names; ours is the registered one.
  UErrorCode status = U_ZERO_ERROR;
  const char* const name = ucnv_getStandardName(std::string(encoding).c_str(), "IANA", &status);
  return converted(std::move(*decoded), name != nullptr ? name : "other");
}

std::string guess_encoding(std::string_view bytes) {
  if (auto wide = wide_encoding(bytes); !wide.empty()) return wide;
  if (has_iso_2022_jp(bytes)) return "ISO-2022-JP";
  // Long texts mostly begin with markup; what counts are the bytes outside ASCII.
  const auto first_high = std::find_if(bytes.begin(), bytes.end(), [](char c) { return c < 0; });
  const auto skip = static_cast<std::size_t>(first_high - bytes.begin());
  const auto part = bytes.substr(skip > 1024 ? skip - 1024 : 0, kLookAt);
  const Guess guess = guess_east_asian(part);
  constexpr double kLikely = 0.2;
  if (guess.score >= kLikely) return std::string(guess.name);
  return guess_single_byte(part);
}

bool looks_binary(std::string_view bytes) {
  using namespace std::literals;
  constexpr std::array kMagic{
      "\x89PNG"sv,
      "GIF87a"sv,
      "GIF89a"sv,
      "\xff\xd8\xff"sv,
      "PK\x03\x04"sv,
      "PK\x05\x06"sv,
      "\x7f"
      "ELF"sv,
      "Rar!\x1a"sv,
      "7z\xbc\xaf\x27\x1c"sv,
      "\xfd"
      "7zXZ"sv,
      "OggS\0"sv,
      "SQLite format 3\0"sv,
      "\x04\x22\x4d\x18"sv,
      "\xca\xfe\xba\xbe"sv,
      "\x1f\x9d"sv,
      "LZIP"sv,
      "\xd0\xcf\x11\xe0"sv,
      "!<arch>\n"sv,
  };
  for (const auto magic : kMagic)
    if (bytes.starts_with(magic)) return true;
  if (!wide_encoding(bytes).empty()) return false;
  const auto part = bytes.substr(0, kLookAt);
  std::size_t control = 0;
  for (const char c : part) {
    const auto byte = static_cast<unsigned char>(c);
    control +=
        byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t' && byte != '\f' && byte != 0x1b;
    control += byte == 0x7f;
  }
  return control * 50 > part.size();
}

std::optional<Converted> convert_to_utf8(std::string_view bytes, std::string_view declared) {
  if (const auto wide = wide_encoding(bytes); !wide.empty()) return decode_as(bytes, wide);
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  if (has_iso_2022_jp(bytes)) {
    if (auto japanese = decode_as(bytes, "ISO-2022-JP"); japanese && !japanese->replaced)
      return japanese;
  }
  if (is_valid_utf8(bytes)) {
    if (looks_binary(bytes)) return std::nullopt;
    return Converted{std::string(bytes), "UTF-8", false};
  }
  if (looks_binary(bytes)) return std::nullopt;

  const Utf8Count utf8 = count_utf8(bytes.substr(0, 16 * kLookAt));
  const bool mostly_utf8 = utf8.good >= 4 * utf8.bad;
  if (!declared.empty() && !mostly_utf8) {
    const Label label = find_label(declared);
    if (label.name != "UTF-8" && lower_label(label.name) != "utf-8") {
      // A single-byte encoding gives every byte a meaning, so its word is worth little.
      const bool single_byte =
          label.name.starts_with("windows-12") || lower_label(label.name).starts_with("iso-8859");
      auto text = decode_as(bytes, declared);
      if (text && !text->replaced &&
          (!single_byte || guess_east_asian(bytes.substr(0, kLookAt)).score < 0.4))
        return text;
    }
  }
  if (!mostly_utf8) {
    if (const auto guess = guess_encoding(bytes); !guess.empty()) return decode_as(bytes, guess);
    if (!declared.empty())
      if (auto text = decode_as(bytes, declared)) return text;
  }
  return Converted{replace_invalid_utf8(bytes), "UTF-8", true};
}

}  // namespace tigerbot::data
