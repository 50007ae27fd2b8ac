#pragma once

#include <span>
#include <string_view>

namespace tigerbot::serve {

/// A file of src/serve/web as it was when the program was built.
struct WebFile {
  std::string_view path;  ///< below the folder: "index.html"
  std::string_view bytes;
};

std::span<const WebFile> web_files();

}  // namespace tigerbot::serve
