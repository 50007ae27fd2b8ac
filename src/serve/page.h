#pragma once

#include <string>
#include <string_view>

namespace tigerbot::serve {

/// A file of src/serve/web, built into the program.
struct PageFile {
  std::string_view path;  ///< as browsers ask for it: "/" and "/index.html" are the same
  std::string_view content_type;
  std::string_view bytes;
  std::string_view etag;  ///< changes with the bytes
};

/// nullptr if there is none at this path.
const PageFile* find_page(std::string_view path);

}  // namespace tigerbot::serve
