#pragma once

#include <string_view>

namespace tigerbot {

/// "0.1.0".
std::string_view version();

/// The commit this was built from, twelve digits, with "-dirty" after it if files were changed;
/// "unknown" outside a git checkout.
std::string_view git_commit();

}  // namespace tigerbot
