#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace tigerbot {

/// How much service each client has had: the virtual token counter of Sheng et al. 2024 ("Fairness
/// in serving large language models"). Whoever has had least goes next. A client that comes back
/// after a pause begins no lower than the least served of those present: it has saved nothing up.
class FairShare {
 public:
  /// A client has one more sequence in the system.
  void enter(const std::string& client);
  /// And one fewer.
  void leave(const std::string& client);
  /// It was given this many tokens.
  void charge(const std::string& client, std::int64_t tokens);

  /// What it has had.
  std::int64_t served(const std::string& client) const;

 private:
  struct Account {
    std::int64_t served = 0;
    std::int64_t present = 0;
  };
  std::map<std::string, Account> accounts_;
  std::int64_t present_ = 0;  // clients
  std::int64_t level_ = 0;    // the least that a client begins with
};

}  // namespace tigerbot
