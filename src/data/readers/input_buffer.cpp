#include "data/readers/input_buffer.h"

#include <algorithm>
#include <cstring>

namespace tigerbot::data {
namespace {

constexpr std::size_t kReadSize = 1 << 20;

}  // namespace

InputBuffer::InputBuffer(std::unique_ptr<ByteSource> source, std::uint64_t offset)
    : source_(std::move(source)), offset_(offset) {
  grow(kReadSize);
}

void InputBuffer::grow(std::size_t bytes) {
  // Not value-initialized: pages that hold no byte cost nothing.
  std::unique_ptr<char[]> larger(new char[bytes + kPadding]);
  if (end_ > begin_) std::memcpy(larger.get(), buffer_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  buffer_ = std::move(larger);
  capacity_ = bytes;
  std::memset(buffer_.get() + end_, 0, kPadding);
}

bool InputBuffer::fill(std::size_t bytes) {
  while (end_ - begin_ < bytes && !ended_) {
    if (bytes > capacity_) {
      grow(std::max(bytes, capacity_ * 2));
    } else if (capacity_ - begin_ < bytes || capacity_ - end_ < kReadSize / 4) {
      std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    std::size_t got = 0;
    try {
      got = source_->read(buffer_.get() + end_, capacity_ - end_);
    } catch (const DamagedInput& error) {
      damage_ = error.what();
    }
    if (got == 0) ended_ = true;
    end_ += got;
    std::memset(buffer_.get() + end_, 0, kPadding);
  }
  return end_ - begin_ >= bytes;
}

void InputBuffer::take(std::size_t bytes) {
  begin_ += bytes;
  offset_ += bytes;
}

std::optional<Line> next_line(InputBuffer& input, std::uint64_t max_bytes) {
  if (input.at_end()) return std::nullopt;
  Line line;
  line.offset = input.offset();
  std::size_t searched = 0;
  while (true) {
    const std::string_view window = input.window();
    const void* found = std::memchr(window.data() + searched, '\n', window.size() - searched);
    if (found != nullptr) {
      const auto length = static_cast<std::size_t>(static_cast<const char*>(found) - window.data());
      line.text = window.substr(0, length);
      input.take(length + 1);
      break;
    }
    if (line.too_long || window.size() > max_bytes) {
      line.too_long = true;
      input.take(window.size());
      if (!input.at_end()) continue;
      line.ended = false;
      break;
    }
    searched = window.size();
    if (!input.fill(window.size() + 1)) {
      line.text = input.window();
      line.ended = false;
      input.take(line.text.size());
      break;
    }
  }
  if (line.text.ends_with('\r')) line.text.remove_suffix(1);
  if (line.text.size() > max_bytes) line.too_long = true;
  if (line.too_long) line.text = {};
  return line;
}

}  // namespace tigerbot::data
