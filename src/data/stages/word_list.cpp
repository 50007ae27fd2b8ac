#include "data/stages/word_list.h"

#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/utf8.h"

namespace tigerbot::data {

std::vector<ListedWord> read_word_list(const std::filesystem::path& path,
                                       const std::string& category, double weight) {
  const std::string text = read_file(path);
  if (const std::size_t bad = first_invalid_utf8(text); bad != std::string::npos)
    fail("{}: not UTF-8 at byte {}; convert the word list", path.string(), bad);
  std::string_view rest = text;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  std::vector<ListedWord> words;
  std::size_t number = 0;
  for (const std::string_view line : split(rest, '\n')) {
    ++number;
    if (line.starts_with("# ")) continue;
    const auto fields = split(line, '\t');
    const std::string_view word = trim(fields[0]);
    if (word.empty()) continue;
    ListedWord entry{std::string(word), category, weight};
    if (fields.size() > 1 && !trim(fields[1]).empty()) entry.category = trim(fields[1]);
    if (fields.size() > 2 && !trim(fields[2]).empty()) {
      const std::string value(trim(fields[2]));
      char* end = nullptr;
      entry.weight = std::strtod(value.c_str(), &end);
      if (*end != '\0' || !std::isfinite(entry.weight) || entry.weight < 0)
        fail("{}:{}: the weight {} is no number of at least 0", path.string(), number,
             quote(value));
    }
    words.push_back(std::move(entry));
  }
  return words;
}

}  // namespace tigerbot::data
