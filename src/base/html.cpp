#include "base/html.h"

namespace tigerbot {

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 16);
  for (const char byte : text) {
    switch (byte) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(byte) < 0x20 && byte != '\n' && byte != '\t') {
          out += "\xEF\xBF\xBD";
        } else {
          out += byte;
        }
    }
  }
  return out;
}

}  // namespace tigerbot
