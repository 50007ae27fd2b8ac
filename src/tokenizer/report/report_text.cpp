// The report as JSON and as tables for a terminal.

#include <fmt/format.h>

#include <set>

#include "base/text.h"
#include "base/utf8.h"
#include "tokenizer/report/tokenizer_report.h"

namespace tigerbot {
namespace {

// A token as it can be shown: parts of characters in hexadecimal.
std::string shown(const std::string& bytes) {
  if (is_valid_utf8(bytes)) return bytes;
  std::string hex = "<";
  for (const char c : bytes) hex += fmt::format("{:02X}", static_cast<unsigned char>(c));
  return hex + ">";
}

std::set<std::string> languages_of(const std::vector<TokenizerReport>& reports) {
  std::set<std::string> languages;
  for (const auto& report : reports) {
    for (const auto& [language, unused] : report.languages) languages.insert(language);
  }
  return languages;
}

}  // namespace

nlohmann::ordered_json report_json(const std::vector<TokenizerReport>& reports,
                                   const std::vector<std::string>& sentences) {
  using nlohmann::ordered_json;
  ordered_json list = ordered_json::array();
  for (const TokenizerReport& report : reports) {
    ordered_json languages = ordered_json::object();
    for (const auto& [language, f] : report.languages) {
      languages[language] = {
          {"bytes", f.bytes},
          {"characters", f.characters},
          {"words", f.words},
          {"tokens", f.tokens},
          {"characters_per_token", f.characters_per_token()},
          {"bytes_per_token", f.bytes_per_token()},
          {"fertility", f.fertility()},
          {"coverage", f.coverage()},
          {"unknown_rate", f.unknown_rate()},
          {"byte_fallback_rate", f.byte_rate()},
          {"pieces_used", f.pieces_used},
          {"characters_per_token_without_ascii", f.foreign_characters_per_token()}};
    }
    ordered_json examples = ordered_json::array();
    for (std::size_t i = 0; i < report.examples.size(); ++i) {
      ordered_json tokens = ordered_json::array();
      for (const std::string& token : report.examples[i]) tokens.push_back(shown(token));
      examples.push_back({{"sentence", sentences[i]}, {"tokens", std::move(tokens)}});
    }
    list.push_back({{"name", report.name},
                    {"kind", report.kind},
                    {"pieces", report.pieces},
                    {"languages", std::move(languages)},
                    {"pieces_by_script", report.pieces_by_script},
                    {"examples", std::move(examples)}});
  }
  return {{"tokenizers", std::move(list)}};
}

std::string report_text(const std::vector<TokenizerReport>& reports,
                        const std::vector<std::string>& sentences) {
  std::size_t width = 9;
  for (const auto& report : reports) width = std::max(width, report.name.size());
  std::string out;
  for (const std::string& language : languages_of(reports)) {
    out += fmt::format("{}\n  {:<{}}  {:>8} {:>8} {:>10} {:>9} {:>9} {:>8} {:>8} {:>8} {:>10}\n",
                       language, "tokenizer", width, "pieces", "chars/tok", "bytes/tok", "no ASCII",
                       "tok/word", "coverage", "unknown", "bytes", "used");
    for (const TokenizerReport& report : reports) {
      const auto found = report.languages.find(language);
      if (found == report.languages.end()) continue;
      const LanguageFigures& f = found->second;
      out += fmt::format(
          "  {:<{}}  {:>8} {:>9.3f} {:>10.3f} {:>9.3f} {:>8.3f} {:>7.2f}% {:>7.3f}% {:>7.2f}% "
          "{:>10}\n",
          report.name, width, format_count(static_cast<std::uint64_t>(report.pieces)),
          f.characters_per_token(), f.bytes_per_token(), f.foreign_characters_per_token(),
          f.fertility(), 100 * f.coverage(), 100 * f.unknown_rate(), 100 * f.byte_rate(),
          format_count(f.pieces_used));
    }
  }
  out += "vocabulary by script\n";
  for (const TokenizerReport& report : reports) {
    std::vector<std::pair<std::uint64_t, std::string>> scripts;
    for (const auto& [script, count] : report.pieces_by_script) scripts.emplace_back(count, script);
    std::sort(scripts.rbegin(), scripts.rend());
    out += fmt::format("  {:<{}} ", report.name, width);
    for (std::size_t i = 0; i < scripts.size() && i < 8; ++i) {
      out += fmt::format(" {} {}{}", scripts[i].second, format_count(scripts[i].first),
                         i + 1 < std::min<std::size_t>(scripts.size(), 8) ? "," : "\n");
    }
  }
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    out += sentences[i] + "\n";
    for (const TokenizerReport& report : reports) {
      out += fmt::format("  {:<{}}  {:>3}  ", report.name, width, report.examples[i].size());
      for (const std::string& token : report.examples[i]) out += shown(token) + "|";
      out += "\n";
    }
  }
  return out;
}

}  // namespace tigerbot
