#include "data/readers/json_lines.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "base/text.h"
#include "base/utf8.h"
#include "data/readers/encoding.h"
#include "data/readers/json_repair.h"

namespace tigerbot::data {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kMaxDepth = 256;
constexpr std::size_t kKeepParserBytes = 8 << 20;

Json to_json(const dom::element& value) {
  switch (value.type()) {
    case dom::element_type::ARRAY: {
      Json out = Json::array();
      for (const dom::element inner : dom::array(value)) out.push_back(to_json(inner));
      return out;
    }
    case dom::element_type::OBJECT: {
      Json out = Json::object();
      for (const auto field : dom::object(value))
        out[std::string(field.key)] = to_json(field.value);
      return out;
    }
    case dom::element_type::INT64:
      return std::int64_t(value);
    case dom::element_type::UINT64:
      return std::uint64_t(value);
    case dom::element_type::DOUBLE:
      return double(value);
    case dom::element_type::STRING:
      return std::string(std::string_view(value));
    case dom::element_type::BOOL:
      return bool(value);
    case dom::element_type::NULL_VALUE:
      break;
  }
  return nullptr;
}

std::string_view type_name(const dom::element& value) {
  switch (value.type()) {
    case dom::element_type::ARRAY:
      return "an array";
    case dom::element_type::OBJECT:
      return "an object";
    case dom::element_type::STRING:
      return "a string";
    case dom::element_type::BOOL:
      return "a truth value";
    case dom::element_type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

/// What simdjson says, in words for people.
std::string describe(simdjson::error_code error) {
  switch (error) {
    case simdjson::DEPTH_ERROR:
      return fmt::format("not valid JSON, or nested deeper than {} levels", kMaxDepth);
    case simdjson::UTF8_ERROR:
      return "not valid UTF-8";
    case simdjson::EMPTY:
      return "the row is empty";
    case simdjson::CAPACITY:
    case simdjson::MEMALLOC:
      return "too large to parse";
    default:
      return fmt::format("not valid JSON: {}", simdjson::error_message(error));
  }
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

class JsonLinesReader : public Reader {
 public:
  JsonLinesReader(ReaderContext context, std::unique_ptr<InputBuffer> input)
      : context_(std::move(context)), input_(std::move(input)) {
    for (const auto part : split(context_.options().text_field, '.')) path_.emplace_back(part);
  }

  std::optional<Document> next() override {
    const ReaderOptions& options = context_.options();
    while (input_->offset() < options.end) {
      const auto line = next_line(*input_, options.max_document_bytes);
      if (!line) break;
      if (!line->ended && input_->damage()) break;  // half a row before the damage
      if (!line->too_long && is_blank(line->text)) continue;
      const std::uint64_t row = row_++;
      if (line->too_long) {
        context_.report(row, line->offset, too_long(options.max_document_bytes));
        continue;
      }
      Document document = context_.document(row, line->offset);
      const std::string problem = parse(line->text, document);
      if (problem.empty()) return document;
      context_.report(row, line->offset,
                      line->ended ? problem : problem + " (the file may be cut off here)");
    }
    if (input_->damage() && !damage_reported_) {
      damage_reported_ = true;
      context_.report(row_, input_->offset(), *input_->damage());
    }
    return std::nullopt;
  }

  std::uint64_t consumed() const override { return input_->consumed(); }

 private:
  /// Fills the document, or says what is wrong with the row.
  std::string parse(std::string_view row, Document& document) {
    dom::element value;
    const auto error = parse_padded(row, value);
    if (error == simdjson::SUCCESS) return fill(value, document);
    if (error == simdjson::DEPTH_ERROR || error == simdjson::CAPACITY) return describe(error);
    return parse_repaired(row, error, document);
  }

  std::string parse_repaired(std::string_view row, simdjson::error_code error, Document& document) {
    std::string text(row);
    if (!is_valid_utf8(text)) {
      auto converted = convert_to_utf8(text);
      if (!converted) return "binary data";
      text = std::move(converted->text);
      if (converted->encoding == "UTF-8") {
        document.edits.emplace_back("reader.invalid_utf8");
      } else {
        document.edits.emplace_back("reader.encoding");
        encoding_ = converted->encoding;
      }
    }
    std::string repaired = repair_json_row(text);
    if (repaired != text) document.edits.emplace_back("reader.json");
    if (repaired == row) return describe(error);
    repaired.reserve(repaired.size() + InputBuffer::kPadding);
    dom::element value;
    error = parse_padded(repaired, value);
    if (error != simdjson::SUCCESS) return describe(error);
    std::string problem = fill(value, document);
    if (!encoding_.empty() && context_.options().keep_metadata)
      set_metadata(document, "encoding", std::move(encoding_));
    encoding_.clear();
    return problem;
  }

  simdjson::error_code parse_padded(std::string_view row, dom::element& value) {
    if (parser_ && parser_->capacity() > kKeepParserBytes && row.size() < kKeepParserBytes / 2)
      parser_.reset();
    if (!parser_) {
      parser_ = std::make_unique<dom::parser>();
      if (const auto error = parser_->allocate(1 << 16, kMaxDepth); error) return error;
    }
    return parser_->parse(row.data(), row.size(), false).get(value);
  }

  std::string fill(const dom::element& value, Document& document) {
    dom::object row;
    if (value.get(row) != simdjson::SUCCESS)
      return fmt::format("{}, not an object", type_name(value));
    const bool keep = context_.options().keep_metadata;
    bool found = false;
    std::string problem = take_fields(row, 0, keep ? &document.metadata : nullptr, document, found);
    if (problem.empty() && !found)
      problem = fmt::format("\"{}\" is missing", context_.options().text_field);
    return problem;
  }

  /// The fields of an object on the way to the text: level 0 is the row.
  std::string take_fields(const dom::object& object, std::size_t level, Json* metadata,
                          Document& document, bool& found) {
    // A field whose own name has the dots comes first: {"a.b": "text"}.
    for (const auto field : object) {
      const bool whole = level == 0 && path_.size() > 1 &&
                         field.key == std::string_view(context_.options().text_field);
      if (!whole && field.key != std::string_view(path_[level])) {
        if (metadata != nullptr) (*metadata)[std::string(field.key)] = to_json(field.value);
        continue;
      }
      const dom::element inner = field.value;
      if (whole || level + 1 == path_.size()) {
        std::string_view text;
        if (inner.get(text) != simdjson::SUCCESS)
          return fmt::format("\"{}\" is {}, not a string", context_.options().text_field,
                             type_name(inner));
        document.text.assign(text);
        if (text.find('\0') != std::string_view::npos) remove_nuls(document);
        found = true;
        continue;
      }
      dom::object deeper;
      if (inner.get(deeper) != simdjson::SUCCESS) {
        if (metadata != nullptr) (*metadata)[std::string(field.key)] = to_json(inner);
        continue;
      }
      Json rest;
      std::string problem =
          take_fields(deeper, level + 1, metadata != nullptr ? &rest : nullptr, document, found);
      if (!problem.empty()) return problem;
      if (!rest.is_null()) (*metadata)[std::string(field.key)] = std::move(rest);
    }
    return "";
  }

  ReaderContext context_;
  std::unique_ptr<InputBuffer> input_;
  std::vector<std::string> path_;  // of the text field
  std::unique_ptr<dom::parser> parser_;
  std::string encoding_;  // that the row was converted from
  std::uint64_t row_ = 0;
  bool damage_reported_ = false;
};

}  // namespace

std::unique_ptr<Reader> json_lines_reader(ReaderContext context,
                                          std::unique_ptr<InputBuffer> input) {
  return std::make_unique<JsonLinesReader>(std::move(context), std::move(input));
}

}  // namespace tigerbot::data
