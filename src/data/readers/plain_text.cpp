#include "data/readers/plain_text.h"

namespace tigerbot::data {
namespace {

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\f") == std::string_view::npos;
}

class PlainTextReader : public Reader {
 public:
  PlainTextReader(ReaderContext context, std::unique_ptr<InputBuffer> input)
      : context_(std::move(context)), input_(std::move(input)) {}

  std::optional<Document> next() override {
    const std::string& unit = context_.options().text_unit;
    while (!done_) {
      auto document = unit == "file"   ? whole_file()
                      : unit == "line" ? next_of_lines()
                                       : next_paragraph();
      if (document) return document;
    }
    if (input_->damage() && !damage_reported_) {
      damage_reported_ = true;
      context_.report(row_, input_->offset(), *input_->damage());
    }
    return std::nullopt;
  }

  std::uint64_t consumed() const override { return input_->consumed(); }

 private:
  std::optional<Document> whole_file() {
    done_ = true;
    const auto limit = context_.options().max_document_bytes;
    if (input_->fill(limit + 1)) {
      context_.report(0, 0, too_long(limit));
      return std::nullopt;
    }
    return input_->window().empty() ? std::nullopt : make(input_->window(), 0);
  }

  std::optional<Document> next_of_lines() {
    if (input_->offset() >= context_.options().end) return finish();
    const auto line = next_line(*input_, context_.options().max_document_bytes);
    if (!line) return finish();
    if (line->too_long) {
      context_.report(row_++, line->offset, too_long(context_.options().max_document_bytes));
      return std::nullopt;
    }
    return is_blank(line->text) ? std::nullopt : make(line->text, line->offset);
  }

  std::optional<Document> next_paragraph() {
    const auto limit = context_.options().max_document_bytes;
    std::string paragraph;
    std::uint64_t offset = 0;
    bool overflow = false;
    while (true) {
      const auto line = next_line(*input_, limit);
      if (!line) {
        done_ = true;
        break;
      }
      const bool blank = !line->too_long && is_blank(line->text);
      if (blank && paragraph.empty() && !overflow) continue;
      if (blank) break;
      if (paragraph.empty() && !overflow) offset = line->offset;
      overflow = overflow || line->too_long || paragraph.size() + line->text.size() > limit;
      if (overflow) {
        paragraph.clear();
        continue;
      }
      if (!paragraph.empty()) paragraph += '\n';
      paragraph += line->text;
    }
    if (overflow) {
      context_.report(row_++, offset, too_long(limit));
      return std::nullopt;
    }
    return paragraph.empty() ? std::nullopt : make(paragraph, offset);
  }

  std::optional<Document> make(std::string_view bytes, std::uint64_t offset) {
    Document document = context_.document(row_++, offset);
    if (set_text(document, bytes, context_.options())) return document;
    context_.report(document.origin.row, offset, "binary data, not text");
    return std::nullopt;
  }

  std::optional<Document> finish() {
    done_ = true;
    return std::nullopt;
  }

  ReaderContext context_;
  std::unique_ptr<InputBuffer> input_;
  std::uint64_t row_ = 0;
  bool done_ = false, damage_reported_ = false;
};

}  // namespace

std::unique_ptr<Reader> plain_text_reader(ReaderContext context,
                                          std::unique_ptr<InputBuffer> input) {
  return std::make_unique<PlainTextReader>(std::move(context), std::move(input));
}

}  // namespace tigerbot::data
