#include "serve/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace tigerbot::serve {

RawClient::RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    throw std::runtime_error("no connection to the server");
  }
}

RawClient::~RawClient() { close(); }

RawClient::RawClient(RawClient&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}

void RawClient::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

bool RawClient::send(const std::string& bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t now = ::send(socket_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (now <= 0) return false;
    at += static_cast<std::size_t>(now);
  }
  return true;
}

std::string RawClient::receive() {
  std::string buffer(65536, '\0');
  const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
  buffer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return buffer;
}

std::string RawClient::receive_all() { return receive_until(std::string()); }

std::string RawClient::receive_until(const std::string& mark) {
  std::string all;
  while (mark.empty() || all.find(mark) == std::string::npos) {
    const std::string now = receive();
    if (now.empty()) break;
    all += now;
  }
  return all;
}

std::string ClientAnswer::header(const std::string& name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

ClientAnswer parse_answer(const std::string& bytes) {
  ClientAnswer answer;
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos || bytes.size() < 12) return answer;
  answer.status = std::stoi(bytes.substr(9, 3));
  std::size_t at = bytes.find("\r\n") + 2;
  while (at < end + 2) {
    const std::size_t line_end = bytes.find("\r\n", at);
    const std::string line = bytes.substr(at, line_end - at);
    const std::size_t colon = line.find(": ");
    answer.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    at = line_end + 2;
  }
  std::string rest = bytes.substr(end + 4);
  if (answer.header("transfer-encoding") != "chunked") {
    answer.body = std::move(rest);
    return answer;
  }
  std::size_t place = 0;
  while (true) {
    const std::size_t line_end = rest.find("\r\n", place);
    if (line_end == std::string::npos) break;
    const std::size_t size = std::stoul(rest.substr(place, line_end - place), nullptr, 16);
    if (size == 0) break;
    answer.body += rest.substr(line_end + 2, size);
    place = line_end + 2 + size + 2;
  }
  return answer;
}

ClientAnswer request(std::uint16_t port, const std::string& method, const std::string& path,
                     const std::string& body,
                     const std::vector<std::pair<std::string, std::string>>& headers) {
  RawClient client(port);
  std::string text = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  client.send(text + "\r\n" + body);
  return parse_answer(client.receive_all());
}

ClientAnswer post(std::uint16_t port, const std::string& path, const nlohmann::json& body,
                  const std::vector<std::pair<std::string, std::string>>& headers) {
  auto all = headers;
  all.emplace_back("Content-Type", "application/json");
  return request(port, "POST", path, body.dump(), all);
}

std::vector<std::string> event_data(const std::string& body) {
  std::vector<std::string> events;
  std::size_t at = 0;
  while (true) {
    const std::size_t end = body.find("\n\n", at);
    if (end == std::string::npos) return events;
    std::string event = body.substr(at, end - at);
    if (event.starts_with("data: ")) events.push_back(event.substr(6));
    at = end + 2;
  }
}

}  // namespace tigerbot::serve
