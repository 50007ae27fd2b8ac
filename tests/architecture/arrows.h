#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace tigerbot::testing {

/// The include directives of one source file: `"ops/ops.h"` and `<ATen/core/Tensor.h>`.
struct Includes {
  std::vector<std::string> own;      ///< in quotes: paths from src/
  std::vector<std::string> foreign;  ///< in angle brackets
};

/// A tree of sources: path from src/ ("ops/ops.h") to its includes.
using SourceTree = std::map<std::string, Includes>;

/// The include directives in C++ text; comments are left out.
Includes parse_includes(const std::string& text);

/// Every .h, .hpp, .cpp, .cc, .inc and .inl file below `src`.
SourceTree read_sources(const std::filesystem::path& src);

/// What the tree does against the rules of the house, one line each:
/// a folder includes from one above it or is not in the order at all; folders include one another
/// in a circle; an include does not name a file by its path from src/; <torch/torch.h> comes in.
std::vector<std::string> broken_arrows(const SourceTree& tree);

/// The files of `folders` that see an ATen, c10 or torch header, themselves or through what they
/// include, one line each with the way there.
std::vector<std::string> tensor_includes(const SourceTree& tree,
                                         const std::set<std::string>& folders);

}  // namespace tigerbot::testing
