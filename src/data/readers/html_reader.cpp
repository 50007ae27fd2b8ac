#include "data/readers/html_reader.h"

#include "data/readers/html_markup.h"
#include "data/readers/html_text.h"

namespace tigerbot::data {
namespace {

class HtmlReader : public Reader {
 public:
  HtmlReader(ReaderContext context, std::unique_ptr<InputBuffer> input)
      : context_(std::move(context)), input_(std::move(input)) {}

  std::optional<Document> next() override {
    if (done_) return std::nullopt;
    done_ = true;
    const ReaderOptions& options = context_.options();
    if (input_->fill(options.max_document_bytes + 1)) {
      context_.report(0, 0, too_long(options.max_document_bytes));
      return std::nullopt;
    }
    if (input_->damage()) context_.report(0, input_->window().size(), *input_->damage());
    if (input_->window().empty()) return std::nullopt;
    Document document = context_.document(0, 0);
    if (set_html(document, input_->window(), options)) return document;
    context_.report(0, 0, "is binary, not HTML");
    return std::nullopt;
  }

  std::uint64_t consumed() const override { return input_->consumed(); }

 private:
  ReaderContext context_;
  std::unique_ptr<InputBuffer> input_;
  bool done_ = false;
};

}  // namespace

bool set_html(Document& document, std::string_view bytes, const ReaderOptions& options,
              std::string_view charset) {
  const std::string declared = charset.empty() ? declared_encoding(bytes) : std::string(charset);
  if (!set_text(document, bytes, options, declared)) return false;
  HtmlPage page = extract_page(document.text);
  document.text = std::move(page.text);
  if (!options.keep_metadata) return true;
  const auto keep = [&](const char* key, std::string& value) {
    if (!value.empty()) set_metadata(document, key, std::move(value));
  };
  keep("title", page.title);
  keep("url", page.url);
  keep("date", page.date);
  keep("lang", page.language);
  return true;
}

std::unique_ptr<Reader> html_reader(ReaderContext context, std::unique_ptr<InputBuffer> input) {
  return std::make_unique<HtmlReader>(std::move(context), std::move(input));
}

}  // namespace tigerbot::data
