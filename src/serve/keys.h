#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tigerbot::serve {

/// What the owner of a key may ask for.
struct KeyLimits {
  std::int64_t requests_per_minute = 0;  ///< 0: no limit
  std::int64_t tokens_per_minute = 0;    ///< of prompts and answers; 0: no limit
};

/// How much of an allowance is left: it fills evenly up to a minute's worth.
class Allowance {
 public:
  using Clock = std::chrono::steady_clock;

  Allowance(std::int64_t per_minute, Clock::time_point now)
      : per_minute_(static_cast<double>(per_minute)), left_(per_minute_), at_(now) {}

  bool limited() const { return per_minute_ > 0; }
  /// What is left; below 0 where more was used than was known beforehand.
  double left(Clock::time_point now);
  void take(double amount, Clock::time_point now);
  /// Seconds until `amount` is there.
  double seconds_until(double amount, Clock::time_point now);
  std::int64_t per_minute() const { return static_cast<std::int64_t>(per_minute_); }

 private:
  double per_minute_;
  double left_;
  Clock::time_point at_;
};

/// A key that a client showed.
class ApiKey {
 public:
  ApiKey(std::string name, std::string sha256, const KeyLimits& limits);

  const std::string& name() const { return name_; }
  const std::string& sha256() const { return sha256_; }
  const KeyLimits& limits() const { return limits_; }

  /// Takes a request off the allowance, or gives the seconds after which to try again.
  struct Admission {
    bool admitted = true;
    std::string what;  ///< "requests" or "tokens", if not admitted
    double retry_after = 0;
  };
  Admission admit(Allowance::Clock::time_point now);

  /// What is left now of requests and tokens; 0 where there is no limit.
  std::pair<std::int64_t, std::int64_t> remaining(Allowance::Clock::time_point now);

  /// Takes tokens off that a request has used.
  void charge_tokens(std::int64_t tokens, Allowance::Clock::time_point now);

 private:
  std::string name_, sha256_;
  KeyLimits limits_;
  std::mutex mutex_;
  Allowance requests_, tokens_;
};

/// The keys of a server. A file holds only their hashes:
///
///   [[key]]
///   name = "alice"
///   sha256 = "..."
///   requests_per_minute = 60
///   tokens_per_minute = 20000
class KeyRing {
 public:
  /// An Error for a file that is not right.
  static KeyRing read(const std::filesystem::path& path);

  /// Whose key it is; nullptr for none. Takes the same time wherever keys differ.
  std::shared_ptr<ApiKey> find(std::string_view key) const;

  std::size_t size() const { return keys_.size(); }

  /// Keeps what is left of allowances for keys that were there before with the same limits.
  void take_over(const KeyRing& before);

 private:
  std::vector<std::shared_ptr<ApiKey>> keys_;
};

/// Makes a key, adds its hash to the file (made if it is not there) and gives the key, which is
/// stored nowhere. An Error for a name that is there already.
std::string add_key(const std::filesystem::path& path, const std::string& name,
                    const KeyLimits& limits);

}  // namespace tigerbot::serve
