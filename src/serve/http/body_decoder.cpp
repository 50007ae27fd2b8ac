#include "serve/http/body_decoder.h"

#include <algorithm>

#include "serve/http/request_parser.h"

namespace tigerbot::serve {

namespace {

/// Of the line that gives a chunk's size, extensions included.
constexpr int kMaxSizeBytes = 256;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

[[noreturn]] void too_large() { throw HttpError(413, "the request's body is too large"); }
[[noreturn]] void bad_chunk() { throw HttpError(400, "the chunks of the body are not right"); }

}  // namespace

BodyDecoder BodyDecoder::of_length(std::uint64_t length, std::size_t most) {
  if (length > most) too_large();
  BodyDecoder decoder;
  decoder.most_ = most;
  decoder.left_ = length;
  decoder.state_ = length == 0 ? State::kDone : State::kData;
  return decoder;
}

BodyDecoder BodyDecoder::chunked(std::size_t most) {
  BodyDecoder decoder;
  decoder.chunked_ = true;
  decoder.most_ = most;
  decoder.state_ = State::kSize;
  return decoder;
}

std::size_t BodyDecoder::push(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && state_ != State::kDone) {
    if (state_ != State::kData) {
      take_control(bytes[at++]);
      continue;
    }
    const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - at));
    body_.append(bytes.substr(at, now));
    at += now;
    left_ -= now;
    if (left_ == 0) state_ = chunked_ ? State::kDataReturn : State::kDone;
  }
  return at;
}

void BodyDecoder::end_size() {
  if (left_ > most_ - body_.size()) too_large();
  state_ = left_ == 0 ? State::kReturn : State::kData;
  size_bytes_ = 0;
  has_size_ = false;
}

void BodyDecoder::take_control(char byte) {
  const auto expect = [byte](char wanted) {
    if (byte != wanted) bad_chunk();
  };
  switch (state_) {
    case State::kSize:
    case State::kExtension:
      if (++size_bytes_ > kMaxSizeBytes) bad_chunk();
      if (byte == '\r' && has_size_) {
        state_ = State::kSizeEnd;
      } else if (state_ == State::kExtension) {
        if (static_cast<unsigned char>(byte) < 0x20 || static_cast<unsigned char>(byte) >= 0x7F) {
          bad_chunk();
        }
      } else if (byte == ';' && has_size_) {
        state_ = State::kExtension;
      } else {
        const int digit = hex_digit(byte);
        if (digit < 0) bad_chunk();
        left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        if (left_ > most_) too_large();
        has_size_ = true;
      }
      break;
    case State::kSizeEnd:
      expect('\n');
      end_size();
      break;
    case State::kDataReturn:
      expect('\r');
      state_ = State::kDataEnd;
      break;
    case State::kDataEnd:
      expect('\n');
      state_ = State::kSize;
      break;
    case State::kReturn:
      expect('\r');
      state_ = State::kEnd;
      break;
    case State::kEnd:
      expect('\n');
      state_ = State::kDone;
      break;
    case State::kData:
    case State::kDone:
      break;
  }
}

}  // namespace tigerbot::serve
