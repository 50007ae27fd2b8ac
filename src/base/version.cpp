#include "base/version.h"

#include "base/git_commit.h"

namespace tigerbot {

std::string_view version() { return TIGERBOT_VERSION; }
std::string_view git_commit() { return TIGERBOT_GIT_COMMIT; }

}  // namespace tigerbot
