#include "infer/fair_share.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace tigerbot {

void FairShare::enter(const std::string& client) {
  Account& account = accounts_[client];
  if (account.present++ > 0) return;
  if (present_++ > 0) {
    level_ = std::numeric_limits<std::int64_t>::max();
    for (const auto& [name, other] : accounts_) {
      if (other.present > 0 && name != client) level_ = std::min(level_, other.served);
    }
  }
  account.served = std::max(account.served, level_);
}

void FairShare::leave(const std::string& client) {
  const auto known = accounts_.find(client);
  if (known == accounts_.end() || known->second.present == 0) {
    fail_internal("a client left that never came");
  }
  if (--known->second.present > 0) return;
  if (--present_ == 0) level_ = known->second.served;
  // What those who are away have had matters only while it is more than the present ones' least.
  constexpr std::size_t kAccounts = 4096;
  if (accounts_.size() > kAccounts) {
    std::erase_if(accounts_, [this](const auto& entry) {
      return entry.second.present == 0 && entry.second.served <= level_;
    });
  }
}

void FairShare::charge(const std::string& client, std::int64_t tokens) {
  if (const auto known = accounts_.find(client); known != accounts_.end()) {
    known->second.served += tokens;
  }
}

std::int64_t FairShare::served(const std::string& client) const {
  const auto known = accounts_.find(client);
  return known == accounts_.end() ? level_ : known->second.served;
}

}  // namespace tigerbot
