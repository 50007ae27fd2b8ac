#pragma once

#include <string>

namespace tigerbot::serve {

/// `prefix` and 24 random characters, for requests and answers ("chatcmpl-...").
std::string make_id(const char* prefix);

inline std::string make_request_id() { return make_id("req_"); }

/// The id that a client gave (x-request-id) if it is short and plain, else `own`.
std::string choose_request_id(const std::string* given, const std::string& own);

/// `bytes` random bytes from the operating system, in base64url without padding.
std::string random_text(int bytes);

}  // namespace tigerbot::serve
