#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/readers/byte_source.h"

namespace tigerbot::data {

/// The bytes of a source through a window that parsers look at. Damage ends the bytes early and is
/// kept for the end, so that a parser works up what came before.
class InputBuffer {
 public:
  /// Bytes behind the window that may be read (not written), whatever they hold: simdjson wants it.
  static constexpr std::size_t kPadding = 64;

  explicit InputBuffer(std::unique_ptr<ByteSource> source, std::uint64_t offset = 0);

  /// The bytes that are there; views stay good until fill().
  std::string_view window() const { return {buffer_.get() + begin_, end_ - begin_}; }
  /// Makes the window at least `bytes` long and returns true, or false if the input ends before.
  bool fill(std::size_t bytes);
  void take(std::size_t bytes);

  /// Byte offset of the window's begin.
  std::uint64_t offset() const { return offset_; }
  /// Nothing is left.
  bool at_end() { return !fill(1); }
  /// What is wrong, once the input has broken off before its end.
  const std::optional<std::string>& damage() const { return damage_; }
  std::uint64_t consumed() const { return source_->consumed(); }

 private:
  void grow(std::size_t bytes);

  std::unique_ptr<ByteSource> source_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
  std::uint64_t offset_;
  bool ended_ = false;
  std::optional<std::string> damage_;
};

struct Line {
  std::string_view text;  ///< without its line end (\n or \r\n); InputBuffer::kPadding behind it
  std::uint64_t offset = 0;
  bool too_long = false;  ///< longer than the limit: passed over, `text` is empty
  bool ended = true;      ///< false for a last line without a line end
};

/// The next line, or nothing at the end. It stays in `input` until the next call. Lines longer than
/// `max_bytes` are passed over in pieces, never held whole.
std::optional<Line> next_line(InputBuffer& input, std::uint64_t max_bytes);

}  // namespace tigerbot::data
