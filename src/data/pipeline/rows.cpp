#include "data/pipeline/rows.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <iterator>

#include "base/hash.h"

namespace tigerbot::data {
namespace {

/// True for the bytes that a JSON string cannot hold as they are.
constexpr std::array<bool, 256> escaped_bytes() {
  std::array<bool, 256> escaped{};
  for (int byte = 0; byte < 0x20; ++byte) escaped[static_cast<std::size_t>(byte)] = true;
  escaped['"'] = escaped['\\'] = true;
  return escaped;
}
constexpr std::array<bool, 256> kEscaped = escaped_bytes();

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (!kEscaped[byte]) continue;
    out.append(text, begin, at - begin);
    begin = at + 1;
    switch (byte) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    }
  }
  out.append(text, begin);
  out += '"';
}

std::uint64_t document_key(const Provenance& origin) {
  std::string name = origin.source;
  name += '\n';
  name += origin.file;
  fmt::format_to(std::back_inserter(name), "\n{}\n{}", origin.offset, origin.row);
  return hash128(name).low;
}

std::string document_id(const Provenance& origin) {
  return fmt::format("{:016x}", document_key(origin));
}

std::uint64_t text_hash(std::string_view text) { return hash128(text).low; }

RowContext::RowContext(const std::string& kind, const std::string& licence,
                       const std::vector<std::string>& stages) {
  if (!kind.empty()) {
    tail += ",\"kind\":";
    append_json_string(kind, tail);
  }
  if (!licence.empty()) {
    tail += ",\"licence\":";
    append_json_string(licence, tail);
  }
  tail += ",\"stages\":[";
  for (std::size_t k = 0; k < stages.size(); ++k) {
    if (k > 0) tail += ',';
    append_json_string(stages[k], tail);
  }
  tail += ']';
}

void append_row(const Document& document, const RowContext& context, std::uint32_t copy,
                std::string& line) {
  line += "{\"text\":";
  append_json_string(document.text, line);
  fmt::format_to(std::back_inserter(line), ",\"id\":\"{}\"", document_id(document.origin));
  line += ",\"source\":";
  append_json_string(document.origin.source, line);
  if (!document.language.empty()) {
    line += ",\"language\":";
    append_json_string(document.language, line);
  }
  if (document.metadata.is_object() && !document.metadata.empty()) {
    line += ",\"metadata\":";
    line += document.metadata.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  if (!document.scores.empty()) {
    line += ",\"scores\":{";
    bool first = true;
    for (const auto& item : document.scores) {
      if (!first) line += ',';
      first = false;
      append_json_string(item.first, line);
      // JSON has no word for what is no number.
      if (std::isfinite(item.second))
        fmt::format_to(std::back_inserter(line), ":{:.6g}", item.second);
      else
        line += ":null";
    }
    line += '}';
  }
  if (!document.edits.empty()) {
    line += ",\"edits\":[";
    for (std::size_t k = 0; k < document.edits.size(); ++k) {
      if (k > 0) line += ',';
      append_json_string(document.edits[k], line);
    }
    line += ']';
  }
  line += ",\"provenance\":{\"file\":";
  append_json_string(document.origin.file, line);
  fmt::format_to(std::back_inserter(line), ",\"offset\":{},\"row\":{}", document.origin.offset,
                 document.origin.row);
  line += context.tail;
  if (copy > 0) fmt::format_to(std::back_inserter(line), ",\"copy\":{}", copy);
  line += "}}\n";
}

}  // namespace tigerbot::data
