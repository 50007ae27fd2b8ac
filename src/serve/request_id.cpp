#include "serve/request_id.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/error.h"

namespace tigerbot::serve {

std::string random_text(int bytes) {
  std::vector<unsigned char> random(static_cast<std::size_t>(bytes));
  std::size_t got = 0;
  while (got < random.size()) {
    const ssize_t now = ::getrandom(random.data() + got, random.size() - got, 0);
    if (now < 0 && errno != EINTR) fail_internal("the system gives no random numbers");
    if (now > 0) got += static_cast<std::size_t>(now);
  }
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  unsigned value = 0;
  int bits = 0;
  for (const unsigned char byte : random) {
    value = value << 8 | byte;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      text += kAlphabet[value >> bits & 63U];
    }
  }
  if (bits > 0) text += kAlphabet[value << (6 - bits) & 63U];
  return text;
}

std::string choose_request_id(const std::string* given, const std::string& own) {
  if (given == nullptr || given->empty() || given->size() > 128) return own;
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == ':';
  };
  return std::all_of(given->begin(), given->end(), is_plain) ? *given : own;
}

std::string make_id(const char* prefix) { return prefix + random_text(18); }

}  // namespace tigerbot::serve
