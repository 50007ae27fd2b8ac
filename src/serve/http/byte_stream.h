#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>

namespace tigerbot::serve {

/// A connection's bytes, in the clear or under TLS. One read and one write may be under way.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  /// What has to pass before the first byte; false if it failed.
  virtual boost::asio::awaitable<bool> handshake() = 0;
  /// Bytes read; 0 at the end or after a failure.
  virtual boost::asio::awaitable<std::size_t> read_some(boost::asio::mutable_buffer buffer) = 0;
  /// Whether all was written.
  virtual boost::asio::awaitable<bool> write(boost::asio::const_buffer buffer) = 0;
  /// Says that nothing more will be written.
  virtual boost::asio::awaitable<void> end() = 0;
  /// Ends reads and writes at once.
  virtual void close() = 0;
};

std::unique_ptr<ByteStream> make_plain_stream(boost::asio::ip::tcp::socket socket);
/// `context` must outlive the stream.
std::unique_ptr<ByteStream> make_tls_stream(boost::asio::ip::tcp::socket socket,
                                            boost::asio::ssl::context& context);

}  // namespace tigerbot::serve
