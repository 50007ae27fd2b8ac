#include "data/readers/warc.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/utf8.h"
#include "data/readers/html_reader.h"
#include "data/readers/http_message.h"

namespace tigerbot::data {
namespace {

constexpr std::size_t kMaxHeader = 1 << 20;

class WarcReader : public Reader {
 public:
  WarcReader(ReaderContext context, std::unique_ptr<InputBuffer> input)
      : context_(std::move(context)), input_(std::move(input)) {}

  std::optional<Document> next() override {
    while (!done_) {
      if (auto document = next_record()) return document;
    }
    return std::nullopt;
  }

  std::uint64_t consumed() const override { return input_->consumed(); }

 private:
  /// A document, or nothing if the record has none or there are no more (done_).
  std::optional<Document> next_record() {
    skip_line_ends();
    record_offset_ = input_->offset();
    if (input_->at_end()) return end_of_file();
    const auto fields = read_header();
    if (!fields) return std::nullopt;
    const auto size = content_length(*fields);
    if (!size) return resynchronize("a WARC record says no Content-Length");
    const auto type = fields->find("warc-type");
    const bool wanted =
        type != fields->end() && (type->second == "response" || type->second == "conversion");
    const std::uint64_t row = row_;
    if (wanted) ++row_;
    if (wanted && *size <= context_.options().max_document_bytes) {
      const bool whole = input_->fill(*size);
      const auto content = input_->window().substr(0, *size);
      auto document = whole ? make(*fields, content, row) : std::nullopt;
      input_->take(content.size());
      if (!whole) return end_of_file("the last WARC record is cut off");
      return document;
    }
    if (wanted)
      context_.report(row, record_offset_, too_long(context_.options().max_document_bytes));
    skip(*size);
    return std::nullopt;
  }

  void skip_line_ends() {
    while (!input_->at_end()) {
      const auto window = input_->window();
      const auto first = std::min(window.find_first_not_of("\r\n"), window.size());
      input_->take(first);
      if (first < window.size()) return;
    }
  }

  /// The record's fields, taken from the input.
  std::optional<HeaderFields> read_header() {
    constexpr std::string_view kMagic = "WARC/";
    if (input_->fill(kMagic.size()) && !input_->window().starts_with(kMagic)) {
      resynchronize("a WARC record does not begin with WARC/");
      return std::nullopt;
    }
    std::size_t searched = 0;
    while (true) {
      const auto window = input_->window();
      const auto from = searched > 4 ? searched - 4 : 0;
      const auto strict = window.find("\r\n\r\n", from);
      const auto loose = window.find("\n\n", from);
      const auto end = std::min(strict, loose);
      if (end != std::string_view::npos) {
        auto fields = parse_header_fields(window.substr(0, end));
        input_->take(end + (end == strict ? 4 : 2));
        return fields;
      }
      searched = window.size();
      if (searched > kMaxHeader) {
        input_->take(kMagic.size());
        resynchronize("the header of a WARC record does not end");
        return std::nullopt;
      }
      if (!input_->fill(searched + 1)) {
        end_of_file("the last WARC record is cut off");
        return std::nullopt;
      }
    }
  }

  static std::optional<std::uint64_t> content_length(const HeaderFields& fields) {
    const auto found = fields.find("content-length");
    if (found == fields.end()) return std::nullopt;
    std::uint64_t size = 0;
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return size;
  }

  void skip(std::uint64_t bytes) {
    while (bytes > 0 && !input_->at_end()) {
      const auto part = std::min<std::uint64_t>(bytes, input_->window().size());
      input_->take(part);
      bytes -= part;
    }
  }

  /// Reports damage once and goes on at the next line that begins a record.
  std::optional<Document> resynchronize(std::string_view what) {
    context_.report(row_, record_offset_, what);
    constexpr std::string_view kBegin = "\nWARC/1.";
    while (true) {
      const auto window = input_->window();
      const auto found = window.find(kBegin);
      if (found != std::string_view::npos) {
        input_->take(found + 1);
        return std::nullopt;
      }
      if (window.size() > kBegin.size()) input_->take(window.size() - kBegin.size());
      if (!input_->fill(kBegin.size() + 1)) return end_of_file();
    }
  }

  std::optional<Document> end_of_file(std::string_view what = "") {
    done_ = true;
    if (input_->damage())
      context_.report(row_, input_->offset(), *input_->damage());
    else if (!what.empty())
      context_.report(row_, record_offset_, what);
    return std::nullopt;
  }

  std::optional<Document> make(const HeaderFields& fields, std::string_view content,
                               std::uint64_t row) {
    Document document = context_.document(row, record_offset_);
    const ReaderOptions& options = context_.options();
    const bool good = fields.at("warc-type") == "conversion"
                          ? set_text(document, content, options)
                          : fill_from_response(document, content);
    if (!good) return std::nullopt;
    if (options.keep_metadata) {
      const auto keep = [&](const char* key, std::string_view field) {
        const auto found = fields.find(field);
        if (found == fields.end() || found->second.empty()) return;
        std::string value = found->second;
        if (value.starts_with('<') && value.ends_with('>'))
          value = value.substr(1, value.size() - 2);
        if (is_valid_utf8(value)) set_metadata(document, key, std::move(value));
      };
      keep("url", "warc-target-uri");
      keep("date", "warc-date");
      keep("languages", "warc-identified-content-language");
    }
    return document;
  }

  /// False for what is no page: redirects, images, errors. Those are no bad input.
  bool fill_from_response(Document& document, std::string_view content) {
    const auto response = parse_http_response(content);
    if (!response || response->status < 200 || response->status >= 300) return false;
    const bool html =
        response->media_type == "text/html" || response->media_type == "application/xhtml+xml";
    if (!html && response->media_type != "text/plain") return false;
    const ReaderOptions& options = context_.options();
    const auto body = decode_body(*response, options.max_document_bytes);
    const bool good = body && (html ? set_html(document, *body, options, response->charset)
                                    : set_text(document, *body, options, response->charset));
    if (!good)
      context_.report(
          document.origin.row, record_offset_,
          body ? "the page is binary, not text" : "the body of the page cannot be decompressed");
    return good;
  }

  ReaderContext context_;
  std::unique_ptr<InputBuffer> input_;
  std::uint64_t row_ = 0, record_offset_ = 0;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<Reader> warc_reader(ReaderContext context, std::unique_ptr<InputBuffer> input) {
  return std::make_unique<WarcReader>(std::move(context), std::move(input));
}

}  // namespace tigerbot::data
