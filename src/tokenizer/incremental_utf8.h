#pragma once

#include <string>
#include <string_view>

#include "tokenizer/utf8.h"

namespace tigerbot {

/// Bytes that arrive in parts become well-formed UTF-8, whole characters at a time: the parts,
/// concatenated, equal replace_invalid_utf8() of all bytes.
class IncrementalUtf8 {
 public:
  std::string push(std::string_view bytes) {
    pending_ += bytes;
    const std::size_t end = complete_size();
    std::string text = replace_invalid_utf8(std::string_view(pending_).substr(0, end));
    pending_.erase(0, end);
    return text;
  }
  std::string finish() {
    std::string text = replace_invalid_utf8(pending_);
    pending_.clear();
    return text;
  }

 private:
  // The bytes before an unfinished, so far well-formed character at the end.
  std::size_t complete_size() const {
    const std::size_t size = pending_.size();
    for (std::size_t back = 1; back <= 3 && back <= size; ++back) {
      const auto lead = static_cast<unsigned char>(pending_[size - back]);
      if ((lead & 0xC0) == 0x80) continue;
      const std::size_t length = lead < 0xC2   ? 1
                                 : lead < 0xE0 ? 2
                                 : lead < 0xF0 ? 3
                                 : lead < 0xF5 ? 4
                                               : 1;
      if (length <= back) return size;
      if (back >= 2) {
        // A second byte out of range ends the character: nothing more can join it.
        const auto second = static_cast<unsigned char>(pending_[size - back + 1]);
        const bool in_range = (lead != 0xE0 || second >= 0xA0) && (lead != 0xED || second < 0xA0) &&
                              (lead != 0xF0 || second >= 0x90) && (lead != 0xF4 || second < 0x90);
        if (!in_range) return size;
      }
      return size - back;
    }
    return size;
  }
  std::string pending_;
};

}  // namespace tigerbot
