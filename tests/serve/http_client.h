#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace tigerbot::serve {

/// A socket to a server on this machine that sends what it is told, proper or not.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  /// False where the server has closed the connection.
  bool send(const std::string& bytes);
  /// What comes next, or "" at the end of the connection.
  std::string receive();
  /// Until the end of the connection.
  std::string receive_all();
  /// Until what came holds `mark` (or the connection ends).
  std::string receive_until(const std::string& mark);
  void close();

 private:
  int socket_ = -1;
};

struct ClientAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string body;                                          ///< chunks put together

  std::string header(const std::string& name) const;
  nlohmann::json json() const { return nlohmann::json::parse(body); }
};

/// Takes an answer apart.
ClientAnswer parse_answer(const std::string& bytes);

/// One request on a connection of its own.
ClientAnswer request(std::uint16_t port, const std::string& method, const std::string& path,
                     const std::string& body = "",
                     const std::vector<std::pair<std::string, std::string>>& headers = {});
ClientAnswer post(std::uint16_t port, const std::string& path, const nlohmann::json& body,
                  const std::vector<std::pair<std::string, std::string>>& headers = {});

/// The data of server-sent events.
std::vector<std::string> event_data(const std::string& body);

}  // namespace tigerbot::serve
