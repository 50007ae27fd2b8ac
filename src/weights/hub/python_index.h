#pragma once

#include <filesystem>
#include <string>

#include "weights/hub/http.h"

namespace tigerbot {

/// Where Python packages come from, as pip is configured: PIP_INDEX_URL and PIP_CERT, else the
/// index-url and cert of pip's configuration files, else PyPI.
struct PythonIndex {
  std::string url;           ///< of the simple repository API (PEP 503 and 691)
  std::string certificates;  ///< a CA bundle, or "" for the system's own
};
PythonIndex python_index_as_configured();

/// The URL of `file_name` in the index's page of `package`. An Error if it is not there.
std::string find_in_index(const PythonIndex& index, const std::string& package,
                          const std::string& file_name, const HttpOptions& options);

/// What find_in_index reads the page with: the URL of `file_name` as the page gives it, or "".
/// `page` is the JSON (PEP 691) or the HTML (PEP 503) form.
std::string url_in_index_page(const std::string& page, const std::string& file_name);

/// The value of `key` in the text of a pip configuration file (sections [global], [download]).
std::string pip_setting(const std::string& text, const std::string& key);

}  // namespace tigerbot
