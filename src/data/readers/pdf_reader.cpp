#include "data/readers/pdf_reader.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "base/text.h"
#include "base/utf8.h"
#include "data/readers/flow_text.h"
#include "data/readers/helper_process.h"
#include "data/readers/input_buffer.h"

namespace tigerbot::data {
namespace {

using Lines = std::vector<std::string_view>;

/// A line as headers and footers repeat it: the page number is another each time.
std::string without_numbers(std::string_view line) {
  std::string out;
  for (const char c : trim(line))
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) out += c;
  return std::string(trim(out));
}

bool is_blank(std::string_view line) { return trim(line).empty(); }

/// The first and last lines that are not blank, which may be header and footer.
std::vector<std::size_t> edges(const Lines& page) {
  std::vector<std::size_t> out;
  for (std::size_t k = 0; k < page.size() && out.size() < 2; ++k)
    if (!is_blank(page[k])) out.push_back(k);
  const std::size_t top = out.size();
  for (std::size_t k = page.size(); k-- > 0 && out.size() < top + 2;)
    if (!is_blank(page[k]) && (top == 0 || k > out[top - 1])) out.push_back(k);
  return out;
}

/// Blanks the lines at the edges that stand on more than half of the pages, and bare page numbers.
void drop_running_heads(std::vector<Lines>& pages) {
  std::map<std::string, std::size_t> counts;
  for (const auto& page : pages)
    for (const auto k : edges(page)) ++counts[without_numbers(page[k])];
  for (auto& page : pages)
    for (const auto k : edges(page)) {
      const std::string line = without_numbers(page[k]);
      const bool number = line.empty() || line == "-" || line == "- -";
      if ((pages.size() >= 3 && counts[line] * 2 > pages.size()) || (number && pages.size() > 1))
        page[k] = {};
    }
}

/// A table of contents: line after line of dots that lead to a page number.
bool is_contents(const Lines& page) {
  const auto leaders = std::count_if(page.begin(), page.end(), [](std::string_view line) {
    return line.find(". . . .") != std::string_view::npos ||
           line.find(".....") != std::string_view::npos;
  });
  return leaders >= 5;
}

bool ends_sentence(std::string_view line) {
  for (const std::string_view end : {".", "!", "?", ":", "。", "！", "？", "”", "」", ";"})
    if (line.ends_with(end)) return true;
  return false;
}

}  // namespace

std::string pages_to_text(std::string_view text) {
  std::vector<Lines> pages;
  for (const auto page : split(text, '\f')) pages.push_back(split(page, '\n'));
  std::erase_if(pages, is_contents);
  drop_running_heads(pages);

  std::size_t longest = 0;
  for (const auto& page : pages)
    for (const auto line : page)
      longest = std::max(longest, std::min<std::size_t>(line.size(), 200));

  std::string out, paragraph;
  const auto finish = [&] {
    const std::string flowed = flow_text(paragraph);
    paragraph.clear();
    if (flowed.empty()) return;
    if (!out.empty()) out += "\n\n";
    out += flowed;
  };
  for (const auto& page : pages)
    for (const auto raw : page) {
      const auto line = trim(raw);
      if (line.empty()) {
        // A page may end in the middle of a sentence.
        if (paragraph.empty() || ends_sentence(trim(paragraph))) finish();
        continue;
      }
      const bool cut_word =
          paragraph.size() > 2 && paragraph.ends_with("-\n") &&
          std::isalpha(static_cast<unsigned char>(paragraph[paragraph.size() - 3])) &&
          std::islower(static_cast<unsigned char>(line.front()));
      if (cut_word) paragraph.resize(paragraph.size() - 2);
      paragraph += line;
      paragraph += '\n';
      // A line much shorter than the column ends its paragraph.
      if (line.size() * 2 < longest) finish();
    }
  finish();
  return out;
}

namespace {

class PdfReader : public Reader {
 public:
  PdfReader(ReaderContext context, const std::filesystem::path& path)
      : context_(std::move(context)), path_(path) {}

  std::optional<Document> next() override {
    if (done_) return std::nullopt;
    done_ = true;
    const ReaderOptions& options = context_.options();
    const HelperLimits limits{.cpu_seconds = 120, .memory_bytes = 2ull << 30};
    InputBuffer output(run_helper(
        "tigerbot-read-pdf", {path_.string(), std::to_string(options.max_document_bytes)}, limits,
        "tigerbot-read-pdf is missing: it must stand beside the program to read PDF files"));
    output.fill(options.max_document_bytes * 2 + (1 << 20));  // all that the helper may write
    if (output.damage()) {
      context_.report(0, 0, *output.damage());
      return std::nullopt;
    }
    const auto head = next_line(output, 1 << 20);
    if (!head) return std::nullopt;
    Document document = context_.document(0, 0);
    if (options.keep_metadata) document.metadata = parse_json(head->text, context_.file());
    document.text = pages_to_text(output.window());
    remove_nuls(document);
    consumed_ = file_size();
    return document;
  }

  std::uint64_t consumed() const override { return consumed_; }

 private:
  std::uint64_t file_size() const {
    std::error_code error;
    const auto size = std::filesystem::file_size(path_, error);
    return error ? 0 : size;
  }

  ReaderContext context_;
  std::filesystem::path path_;
  std::uint64_t consumed_ = 0;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<Reader> pdf_reader(ReaderContext context, const std::filesystem::path& path) {
  return std::make_unique<PdfReader>(std::move(context), path);
}

}  // namespace tigerbot::data
