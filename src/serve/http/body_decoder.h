#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tigerbot::serve {

/// Takes a request's body, of a length that its head gives or in chunks, from the bytes after the
/// head. Chunks are read by the letter of RFC 9112, without trailers, so that no one between the
/// client and us can see another end of the body. An HttpError for anything else.
class BodyDecoder {
 public:
  static BodyDecoder of_length(std::uint64_t length, std::size_t most);
  static BodyDecoder chunked(std::size_t most);

  /// Takes what belongs to the body and gives how many bytes it was.
  std::size_t push(std::string_view bytes);
  bool done() const { return state_ == State::kDone; }

  const std::string& body() const { return body_; }
  std::string take() { return std::move(body_); }

 private:
  enum class State {
    kData,
    kSize,
    kExtension,
    kSizeEnd,
    kDataReturn,
    kDataEnd,
    kReturn,
    kEnd,
    kDone
  };

  void take_control(char byte);
  void end_size();

  State state_ = State::kDone;
  bool chunked_ = false;
  std::size_t most_ = 0;    // bytes of the whole body
  std::uint64_t left_ = 0;  // of the body or the chunk
  int size_bytes_ = 0;      // of the line that gives a chunk's size
  bool has_size_ = false;
  std::string body_;
};

}  // namespace tigerbot::serve
