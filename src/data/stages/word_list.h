#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tigerbot::data {

/// A word of a dictionary of harmful content.
struct ListedWord {
  std::string word;
  std::string category;
  double weight = 1;
};

/// Reads a word list in UTF-8: one word a line, then, after tabs, its category and its weight where
/// they are not `category` and `weight`. Empty lines, and lines that begin with "# ", are passed
/// over. An Error names the line of a weight that is no number of at least 0.
std::vector<ListedWord> read_word_list(const std::filesystem::path& path,
                                       const std::string& category, double weight);

}  // namespace tigerbot::data
