// tigerbot-read-pdf CPU_SECONDS MEMORY_BYTES FILE MAX_BYTES: the text of a PDF on stdout. First a
// line of JSON with title and date, then the pages, a form feed behind each.

#include <fmt/format.h>
#include <poppler-document.h>
#include <poppler-global.h>
#include <poppler-page.h>

#include <ctime>
#include <memory>
#include <new>

#include "base/json.h"
#include "base/utf8.h"
#include "data/helpers/limits.h"

namespace {

using namespace tigerbot;

void be_quiet(const std::string& /*message*/, void* /*closure*/) {}

std::string utf8(const poppler::ustring& text) {
  const auto bytes = text.to_utf8();
  return replace_invalid_utf8(std::string_view(bytes.data(), bytes.size()));
}

void write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) std::exit(1);
}

Json describe(const poppler::document& document) {
  Json out = Json::object();
  if (const auto title = utf8(document.info_key("Title")); !title.empty()) out["title"] = title;
  const std::time_t created = document.info_date_t("CreationDate");
  if (created != static_cast<std::time_t>(-1)) {
    std::tm time{};
    char text[32];
    if (gmtime_r(&created, &time) != nullptr &&
        std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &time) > 0)
      out["date"] = text;
  }
  out["pages"] = document.pages();
  return out;
}

void run(const std::string& file, std::uint64_t max_bytes) {
  poppler::set_debug_error_function(be_quiet, nullptr);
  const std::unique_ptr<poppler::document> document(poppler::document::load_from_file(file));
  if (!document) data::give_up("is no PDF, or a damaged one");
  if (document->is_locked()) data::give_up("is encrypted: a password is needed");
  write(describe(*document).dump() + "\n");
  std::uint64_t written = 0;
  for (int number = 0; number < document->pages(); ++number) {
    const std::unique_ptr<poppler::page> page(document->create_page(number));
    if (!page) continue;  // a page that is damaged; the others count
    const std::string text =
        utf8(page->text(page->page_rect(), poppler::page::non_raw_non_physical_layout)) + "\f";
    written += text.size();
    if (written > max_bytes)
      data::give_up(fmt::format("has more than {} bytes of text", max_bytes));
    write(text);
  }
  if (std::fflush(stdout) != 0) std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) data::give_up("usage: tigerbot-read-pdf CPU_SECONDS MEMORY_BYTES FILE MAX_BYTES");
  data::apply_limits(argv);
  try {
    run(argv[3], std::strtoull(argv[4], nullptr, 10));
  } catch (const std::bad_alloc&) {
    data::give_up("needs more memory than a PDF is given");
  }
  return 0;
}
