#include "data/readers/file_format.h"

#include <array>
#include <cctype>
#include <utility>

namespace tigerbot::data {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string_view by_magic(std::string_view bytes) {
  constexpr std::array kMagic{Pair{"PAR1", "parquet"}, Pair{"%PDF-", "pdf"}, Pair{"WARC/", "warc"},
                              Pair{"<mediawiki", "wikipedia"}};
  for (const auto& [magic, format] : kMagic)
    if (bytes.starts_with(magic)) return format;
  return "";
}

std::string_view by_name(const std::filesystem::path& file) {
  std::string name = lower(file.filename().string());
  for (const std::string_view ending : {".gz", ".zst", ".zstd", ".bz2", ".bzip2", ".gzip"})
    if (name.ends_with(ending)) {
      name.resize(name.size() - ending.size());
      break;
    }
  constexpr std::array kEndings{
      Pair{".jsonl", "jsonl"},     Pair{".ndjson", "jsonl"}, Pair{".json", "jsonl"},
      Pair{".html", "html"},       Pair{".htm", "html"},     Pair{".xhtml", "html"},
      Pair{".parquet", "parquet"}, Pair{".wet", "wet"},      Pair{".warc", "warc"},
      Pair{".pdf", "pdf"},         Pair{".txt", "text"},     Pair{".text", "text"},
      Pair{".md", "text"},         Pair{".rst", "text"}};
  for (const auto& [ending, format] : kEndings)
    if (name.ends_with(ending)) return format;
  if (name.ends_with(".xml") && contains(name, "pages-")) return "wikipedia";
  return "";
}

std::string_view by_look(std::string_view bytes) {
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  const auto begin = bytes.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "text";
  bytes.remove_prefix(begin);
  if (bytes.starts_with("{\"")) return "jsonl";
  const std::string head = lower(bytes.substr(0, 2048));
  if (head.starts_with("<mediawiki") || (head.starts_with("<?xml") && contains(head, "<mediawiki")))
    return "wikipedia";
  if (head.starts_with("<!doctype html") || head.starts_with("<html") ||
      (head.starts_with("<?xml") && contains(head, "<html")) ||
      (head.starts_with("<!--") && contains(head, "<html")))
    return "html";
  return "text";
}

}  // namespace

std::string detect_format(const std::filesystem::path& file, std::string_view first_bytes) {
  for (const auto format : {by_magic(first_bytes), by_name(file)})
    if (!format.empty()) return std::string(format);
  return std::string(by_look(first_bytes));
}

}  // namespace tigerbot::data
