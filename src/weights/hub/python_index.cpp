#include "weights/hub/python_index.h"

#include <cstdlib>
#include <regex>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// pip's configuration files, the strongest first.
std::vector<fs::path> pip_files() {
  std::vector<fs::path> files;
  if (const std::string own = variable("PIP_CONFIG_FILE"); !own.empty()) files.push_back(own);
  if (const std::string home = variable("HOME"); !home.empty()) {
    const std::string xdg = variable("XDG_CONFIG_HOME");
    files.push_back((xdg.empty() ? fs::path(home) / ".config" : fs::path(xdg)) / "pip/pip.conf");
    files.push_back(fs::path(home) / ".pip/pip.conf");
  }
  files.push_back("/etc/pip.conf");
  files.push_back("/etc/xdg/pip/pip.conf");
  return files;
}

std::string pip_value(const char* environment, const std::string& key) {
  if (std::string value = variable(environment); !value.empty()) return value;
  for (const auto& file : pip_files()) {
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) continue;
    if (std::string value = pip_setting(read_file(file, 1 << 20), key); !value.empty())
      return value;
  }
  return "";
}

/// The few character references that stand in URLs.
std::string unescape_html(std::string text) {
  for (std::size_t at = 0; (at = text.find("&amp;", at)) != std::string::npos; ++at)
    text.replace(at, 5, "&");
  return text;
}

}  // namespace

std::string pip_setting(const std::string& text, const std::string& key) {
  std::string value;
  bool in_section = false;
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      in_section = line == "[global]" || line == "[download]";
      continue;
    }
    const auto equals = line.find_first_of("=:");
    if (in_section && equals != std::string_view::npos && trim(line.substr(0, equals)) == key)
      value = trim(line.substr(equals + 1));
  }
  return value;
}

PythonIndex python_index_as_configured() {
  PythonIndex index{pip_value("PIP_INDEX_URL", "index-url"), pip_value("PIP_CERT", "cert")};
  if (index.url.empty()) index.url = "https://pypi.org/simple";
  while (index.url.ends_with('/')) index.url.pop_back();
  return index;
}

std::string url_in_index_page(const std::string& page, const std::string& file_name) {
  if (const auto first = page.find_first_not_of(" \t\r\n");
      first != std::string::npos && page[first] == '{') {
    const Json document = parse_json(page, "the package index", {.reject_duplicate_keys = false});
    JsonReader reader(document, "the package index");
    for (auto& file : reader.objects("files"))
      if (file.get<std::string>("filename") == file_name) return file.get<std::string>("url");
    return "";
  }
  // <a href="URL#sha256=...">file name</a>
  const auto anchor = page.find(">" + file_name + "<");
  if (anchor == std::string::npos) return "";
  const auto open = page.rfind('<', anchor);
  constexpr std::size_t kLongestTag = 4096;  // std::regex recurses
  if (open == std::string::npos || anchor - open > kLongestTag) return "";
  const std::string tag = page.substr(open, anchor - open);
  static const std::regex href(R"re(href\s*=\s*["']([^"']+)["'])re", std::regex::icase);
  std::smatch match;
  if (!std::regex_search(tag, match, href)) return "";
  const std::string url = match[1];
  return unescape_html(url.substr(0, url.find('#')));
}

std::string find_in_index(const PythonIndex& index, const std::string& package,
                          const std::string& file_name, const HttpOptions& options) {
  HttpOptions with_form = options;
  with_form.headers.push_back(
      "Accept: application/vnd.pypi.simple.v1+json, text/html;q=0.5, */*;q=0.1");
  const std::string page_url = index.url + "/" + package + "/";
  const auto answer = http_get(page_url, with_form, 64 << 20);
  if (const auto* failure = std::get_if<HttpFailure>(&answer))
    fail("{}: {} (PIP_INDEX_URL names another package index)", url_for_people(page_url),
         failure->message);
  const auto& page = std::get<HttpText>(answer);
  const std::string url = url_in_index_page(page.body, file_name);
  if (url.empty())
    fail("{}: has no {}; the index may be a partial mirror (PIP_INDEX_URL names another)",
         url_for_people(page_url), file_name);
  return resolve_url(page.final_url, url);
}

}  // namespace tigerbot
