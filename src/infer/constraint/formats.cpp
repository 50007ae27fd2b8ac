#include "infer/constraint/formats.h"

#include <algorithm>
#include <array>
#include <map>

namespace tigerbot::constraint {

namespace {

// Dates run from the year 1000, so that every library reads them; a leap second is never written.
#define TIGERBOT_YEAR "[1-9][0-9]{3}"
#define TIGERBOT_LEAP_YEAR \
  "(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[13579][26]|[2468][048])00)"
#define TIGERBOT_DATE                                                                      \
  "(?:" TIGERBOT_YEAR                                                                      \
  "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|"                                     \
  "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|" TIGERBOT_LEAP_YEAR \
  "-02-29)"
#define TIGERBOT_TIME                                            \
  "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?" \
  "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define TIGERBOT_LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
#define TIGERBOT_HOST TIGERBOT_LABEL "(?:\\." TIGERBOT_LABEL "){0,5}"
#define TIGERBOT_ATOM "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,30}"
#define TIGERBOT_BYTE "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define TIGERBOT_URI_CHARACTER "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
#define TIGERBOT_PATH "(?:/" TIGERBOT_URI_CHARACTER "*)*"
#define TIGERBOT_QUERY \
  "(?:\\?(?:" TIGERBOT_URI_CHARACTER "|[/?])*)?(?:#(?:" TIGERBOT_URI_CHARACTER "|[/?])*)?"
#define TIGERBOT_URI \
  "[A-Za-z][A-Za-z0-9+.-]{0,20}://" TIGERBOT_HOST "(?::[0-9]{1,4})?" TIGERBOT_PATH TIGERBOT_QUERY
#define TIGERBOT_POINTER "(?:/(?:[^~/]|~[01])*)*"

const std::map<std::string_view, std::string_view>& patterns() {
  static const std::map<std::string_view, std::string_view> all{
      {"date", TIGERBOT_DATE},
      {"time", TIGERBOT_TIME},
      {"date-time", TIGERBOT_DATE "T" TIGERBOT_TIME},
      {"duration",
       "P(?:[0-9]{1,4}W|(?:[0-9]{1,4}Y)(?:[0-9]{1,4}M(?:[0-9]{1,4}D)?)?|"
       "[0-9]{1,4}M(?:[0-9]{1,4}D)?|[0-9]{1,4}D|"
       "(?:[0-9]{1,4}D)?T(?:[0-9]{1,4}H(?:[0-9]{1,4}M(?:[0-9]{1,4}S)?)?|"
       "[0-9]{1,4}M(?:[0-9]{1,4}S)?|[0-9]{1,4}S))"},
      {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"},
      {"ipv4", TIGERBOT_BYTE "(?:\\." TIGERBOT_BYTE "){3}"},
      {"ipv6", "(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"},
      {"hostname", TIGERBOT_HOST},
      {"idn-hostname", TIGERBOT_HOST},
      {"email", TIGERBOT_ATOM "(?:\\." TIGERBOT_ATOM "){0,1}@" TIGERBOT_HOST},
      {"idn-email", TIGERBOT_ATOM "(?:\\." TIGERBOT_ATOM "){0,1}@" TIGERBOT_HOST},
      {"uri", TIGERBOT_URI},
      {"iri", TIGERBOT_URI},
      {"url", TIGERBOT_URI},
      {"uri-reference", "(?:" TIGERBOT_URI "|" TIGERBOT_PATH TIGERBOT_QUERY ")"},
      {"iri-reference", "(?:" TIGERBOT_URI "|" TIGERBOT_PATH TIGERBOT_QUERY ")"},
      {"uri-template", TIGERBOT_URI},
      {"json-pointer", TIGERBOT_POINTER},
      {"relative-json-pointer", "(?:0|[1-9][0-9]{0,5})(?:#|" TIGERBOT_POINTER ")"},
      {"byte", "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"},
  };
  return all;
}

constexpr std::array<std::string_view, 7> kAnnotations{"password", "binary",   "float",   "double",
                                                       "decimal",  "textarea", "markdown"};

struct IntegerFormat {
  std::string_view name, lower, upper;
};
constexpr std::array<IntegerFormat, 8> kIntegers{{{"int8", "-128", "127"},
                                                  {"int16", "-32768", "32767"},
                                                  {"int32", "-2147483648", "2147483647"},
                                                  {"int64", "", ""},
                                                  {"uint8", "0", "255"},
                                                  {"uint16", "0", "65535"},
                                                  {"uint32", "0", "4294967295"},
                                                  {"uint64", "0", ""}}};

const IntegerFormat* find_integer(std::string_view name) {
  const auto found = std::find_if(kIntegers.begin(), kIntegers.end(),
                                  [&](const IntegerFormat& format) { return format.name == name; });
  return found == kIntegers.end() ? nullptr : &*found;
}

}  // namespace

FormatKind kind_of_format(std::string_view name) {
  if (patterns().contains(name)) return FormatKind::kString;
  if (find_integer(name) != nullptr) return FormatKind::kInteger;
  if (std::find(kAnnotations.begin(), kAnnotations.end(), name) != kAnnotations.end()) {
    return FormatKind::kAnnotation;
  }
  return FormatKind::kUnknown;
}

std::string_view format_pattern(std::string_view name) { return patterns().at(name); }

Alternative integer_format(std::string_view name) {
  const IntegerFormat& format = *find_integer(name);
  Alternative limited;
  const auto limit = [](std::string_view text) -> std::optional<NumberLimit> {
    if (text.empty()) return std::nullopt;
    return NumberLimit{Decimal::from_json(Schema::parse(text)), false};
  };
  limited.limits = {limit(format.lower), limit(format.upper)};
  return limited;
}

std::string known_formats() {
  std::string names;
  for (const auto& [name, pattern] : patterns()) {
    if (!names.empty()) names += ", ";
    names += name;
  }
  for (const IntegerFormat& format : kIntegers) names.append(", ").append(format.name);
  return names;
}

}  // namespace tigerbot::constraint
