#include "data/readers/html_reader.h"
#include "data/readers/html_text.h"
#include "reader_checks.h"

// Whatever the bytes are, a page is valid UTF-8, and not longer than the page by more than the
// marks of its blocks.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  tigerbot::data::check_reader(tigerbot::data::html_reader, bytes);
  const std::string valid = tigerbot::replace_invalid_utf8(bytes);
  const auto page = tigerbot::data::extract_page(valid);
  for (const auto* text : {&page.text, &page.title, &page.url, &page.date, &page.language})
    if (!tigerbot::is_valid_utf8(*text)) std::abort();
  return 0;
}
