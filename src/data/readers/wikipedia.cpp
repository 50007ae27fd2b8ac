#include "data/readers/wikipedia.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/utf8.h"
#include "data/readers/entities.h"
#include "data/readers/wikitext.h"

namespace tigerbot::data {
namespace {

constexpr std::string_view kBegin = "<page>", kEnd = "</page>";

/// What stands in the last <name> element; "" if there is none. Dumps nest no element in itself.
std::string_view element(std::string_view xml, std::string_view name, bool last = false) {
  const std::string open = "<" + std::string(name);
  std::size_t at = last ? xml.rfind(open) : xml.find(open);
  while (at != std::string_view::npos) {
    const auto after = at + open.size();
    if (after >= xml.size()) return {};
    if (xml[after] == '>' || xml[after] == ' ' || xml[after] == '\n') {
      const auto close = xml.find('>', after);
      if (close == std::string_view::npos || xml[close - 1] == '/') return {};
      const auto end = xml.find("</" + std::string(name) + ">", close);
      return xml.substr(close + 1, std::min(end, xml.size()) - close - 1);
    }
    if (last && at == 0) return {};
    at = last ? xml.rfind(open, at - 1) : xml.find(open, after);
  }
  return {};
}

class WikipediaReader : public Reader {
 public:
  WikipediaReader(ReaderContext context, std::unique_ptr<InputBuffer> input)
      : context_(std::move(context)), input_(std::move(input)) {
    read_head();
  }

  std::optional<Document> next() override {
    while (!done_) {
      if (!find_page()) break;
      const std::uint64_t offset = input_->offset();
      const auto page = take_page();
      if (!page) continue;
      if (auto document = make(*page, offset)) return document;
    }
    return std::nullopt;
  }

  std::uint64_t consumed() const override { return input_->consumed(); }

 private:
  /// The head names the wiki: its address is what the pages' addresses begin with.
  void read_head() {
    constexpr std::size_t kHead = 64 << 10;
    input_->fill(kHead);
    const auto head = input_->window().substr(0, kHead);
    const auto base = element(head.substr(0, head.find(kBegin)), "base");
    if (const auto slash = base.rfind('/'); slash != std::string_view::npos)
      address_ = std::string(base.substr(0, slash + 1));
  }

  /// Goes to the next <page>; false at the end.
  bool find_page() {
    while (true) {
      const auto window = input_->window();
      if (const auto found = window.find(kBegin); found != std::string_view::npos) {
        input_->take(found);
        return true;
      }
      if (window.size() > kBegin.size()) input_->take(window.size() - kBegin.size());
      if (!input_->fill(kBegin.size() + 1)) {
        done_ = true;
        if (input_->damage()) context_.report(row_, input_->offset(), *input_->damage());
        return false;
      }
    }
  }

  /// The page that begins here, or nothing if it is too long or cut off.
  std::optional<std::string_view> take_page() {
    const auto limit = context_.options().max_document_bytes;
    const std::uint64_t offset = input_->offset();
    std::size_t searched = 0;
    bool overflow = false;
    while (true) {
      const auto window = input_->window();
      const auto found = window.find(kEnd, searched > kEnd.size() ? searched - kEnd.size() : 0);
      if (found != std::string_view::npos) {
        input_->take(found + kEnd.size());
        if (!overflow && found <= limit) return window.substr(0, found);
        context_.report(row_++, offset, too_long(limit));
        return std::nullopt;
      }
      searched = window.size();
      if (window.size() > limit || overflow) {
        overflow = true;
        input_->take(window.size() - std::min(window.size(), kEnd.size()));
        searched = 0;
      }
      if (!input_->fill(input_->window().size() + 1)) {
        done_ = true;
        context_.report(row_, offset,
                        input_->damage() ? *input_->damage() : "the last page is cut off");
        return std::nullopt;
      }
    }
  }

  std::optional<Document> make(std::string_view page, std::uint64_t offset) {
    if (trim(element(page, "ns")) != "0") return std::nullopt;
    // The head of the page, before the revision, has the redirect.
    const auto head = page.substr(0, page.find("<revision"));
    if (head.find("<redirect") != std::string_view::npos) return std::nullopt;
    Document document = context_.document(row_++, offset);
    const ReaderOptions& options = context_.options();
    const std::string wikitext = decode_entities(element(page, "text", true));
    if (!is_valid_utf8(wikitext)) document.edits.emplace_back("reader.invalid_utf8");
    document.text =
        wikitext_to_text(is_valid_utf8(wikitext) ? wikitext : replace_invalid_utf8(wikitext));
    remove_nuls(document);
    if (options.keep_metadata) {
      const std::string title = replace_invalid_utf8(decode_entities(element(head, "title")));
      set_metadata(document, "title", title);
      std::uint64_t id = 0;
      const auto digits = trim(element(head, "id"));
      std::from_chars(digits.data(), digits.data() + digits.size(), id);
      set_metadata(document, "id", id);
      if (const auto date = element(page, "timestamp", true); is_valid_utf8(date) && !date.empty())
        set_metadata(document, "date", std::string(date));
      if (!address_.empty() && is_valid_utf8(address_)) {
        std::string path = title;
        std::replace(path.begin(), path.end(), ' ', '_');
        set_metadata(document, "url", address_ + path);
      }
    }
    return document;
  }

  ReaderContext context_;
  std::unique_ptr<InputBuffer> input_;
  std::string address_;  // "https://zh.wikipedia.org/wiki/"
  std::uint64_t row_ = 0;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<Reader> wikipedia_reader(ReaderContext context,
                                         std::unique_ptr<InputBuffer> input) {
  return std::make_unique<WikipediaReader>(std::move(context), std::move(input));
}

}  // namespace tigerbot::data
