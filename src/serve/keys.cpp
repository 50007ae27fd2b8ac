#include "serve/keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "base/toml.h"
#include "serve/request_id.h"

namespace tigerbot::serve {

namespace {

/// 256 bits: no one guesses it, so that a plain hash serves.
constexpr int kKeyBytes = 32;
constexpr std::size_t kMaxKeyBytes = 512;
constexpr std::int64_t kMaxPerMinute = 1'000'000'000;

void check_name(const std::string& name, const std::string& where) {
  const auto is_good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '@';
  };
  if (name.empty() || name.size() > 64 || !std::all_of(name.begin(), name.end(), is_good)) {
    fail("{}: a key's name is 1 to 64 letters, digits, _, -, . or @, not {}", where, quote(name));
  }
}

}  // namespace

double Allowance::left(Clock::time_point now) {
  const double minutes = std::chrono::duration<double>(now - at_).count() / 60;
  if (minutes > 0) {
    left_ = std::min(per_minute_, left_ + minutes * per_minute_);
    at_ = now;
  }
  return left_;
}

void Allowance::take(double amount, Clock::time_point now) {
  left(now);
  left_ -= amount;
}

double Allowance::seconds_until(double amount, Clock::time_point now) {
  return std::max(0.0, (amount - left(now)) / per_minute_ * 60);
}

ApiKey::ApiKey(std::string name, std::string sha256, const KeyLimits& limits)
    : name_(std::move(name)),
      sha256_(std::move(sha256)),
      limits_(limits),
      requests_(limits.requests_per_minute, Allowance::Clock::now()),
      tokens_(limits.tokens_per_minute, Allowance::Clock::now()) {}

ApiKey::Admission ApiKey::admit(Allowance::Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  Admission result;
  if (requests_.limited() && requests_.left(now) < 1) {
    result = {false, "requests", requests_.seconds_until(1, now)};
  } else if (tokens_.limited() && tokens_.left(now) < 1) {
    result = {false, "tokens", tokens_.seconds_until(1, now)};
  } else if (requests_.limited()) {
    requests_.take(1, now);
  }
  return result;
}

std::pair<std::int64_t, std::int64_t> ApiKey::remaining(Allowance::Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto whole = [&](Allowance& allowance) {
    return allowance.limited() ? static_cast<std::int64_t>(std::max(0.0, allowance.left(now))) : 0;
  };
  return {whole(requests_), whole(tokens_)};
}

void ApiKey::charge_tokens(std::int64_t tokens, Allowance::Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (tokens_.limited()) tokens_.take(static_cast<double>(tokens), now);
}

KeyRing KeyRing::read(const std::filesystem::path& path) {
  const Json document = read_toml_file(path);
  JsonReader reader(document, path.string());
  KeyRing ring;
  std::set<std::string> names;
  if (reader.has("key")) {
    for (JsonReader& entry : reader.objects("key")) {
      const auto name = entry.get<std::string>("name");
      check_name(name, entry.place("name"));
      if (!names.insert(name).second) {
        fail("{}: the name {} stands twice", path.string(), quote(name));
      }
      auto hash = entry.get<std::string>("sha256");
      const bool is_hash = hash.size() == 64 && std::all_of(hash.begin(), hash.end(), [](char c) {
                             return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                           });
      if (!is_hash) fail("{} must be 64 hexadecimal digits in lower case", entry.place("sha256"));
      KeyLimits limits;
      limits.requests_per_minute = entry.get<std::int64_t>("requests_per_minute", 0);
      limits.tokens_per_minute = entry.get<std::int64_t>("tokens_per_minute", 0);
      for (const auto& [key, value] : {std::pair("requests_per_minute", limits.requests_per_minute),
                                       std::pair("tokens_per_minute", limits.tokens_per_minute)}) {
        if (value < 0 || value > kMaxPerMinute) {
          fail("{} must be from 0 (no limit) to {}", entry.place(key), kMaxPerMinute);
        }
      }
      entry.finish();
      ring.keys_.push_back(std::make_shared<ApiKey>(name, std::move(hash), limits));
    }
  }
  reader.ignore("key");
  reader.finish();
  if (ring.keys_.empty()) {
    fail("{}: no keys in it; add one with `tigerbot serve --keys {} --new-key NAME`", path.string(),
         path.string());
  }
  return ring;
}

std::shared_ptr<ApiKey> KeyRing::find(std::string_view key) const {
  if (key.size() > kMaxKeyBytes) return nullptr;
  const std::string hash = sha256_hex(key);
  std::shared_ptr<ApiKey> found;
  for (const auto& candidate : keys_) {
    if (CRYPTO_memcmp(hash.data(), candidate->sha256().data(), hash.size()) == 0) found = candidate;
  }
  return found;
}

void KeyRing::take_over(const KeyRing& before) {
  for (auto& key : keys_) {
    for (const auto& old : before.keys_) {
      if (old->name() == key->name() && old->sha256() == key->sha256() &&
          old->limits().requests_per_minute == key->limits().requests_per_minute &&
          old->limits().tokens_per_minute == key->limits().tokens_per_minute) {
        key = old;
      }
    }
  }
}

std::string add_key(const std::filesystem::path& path, const std::string& name,
                    const KeyLimits& limits) {
  check_name(name, "--new-key");
  std::string text;
  if (std::filesystem::exists(path)) {
    text = read_file(path);
    const Json document = parse_toml(text, path.string());
    if (!trim(text).empty() && document.contains("key")) {
      KeyRing::read(path);  // nothing is added to a file that is not right
      for (const Json& entry : document["key"]) {
        if (entry["name"] == name) fail("{}: there is a key named {} already", path.string(), name);
      }
    }
    if (!text.empty() && text.back() != '\n') text += '\n';
  }
  std::string key = "tb-" + random_text(kKeyBytes);
  text += fmt::format("{}[[key]]\nname = \"{}\"\nsha256 = \"{}\"\n", text.empty() ? "" : "\n", name,
                      sha256_hex(key));
  if (limits.requests_per_minute > 0) {
    text += fmt::format("requests_per_minute = {}\n", limits.requests_per_minute);
  }
  if (limits.tokens_per_minute > 0) {
    text += fmt::format("tokens_per_minute = {}\n", limits.tokens_per_minute);
  }
  write_file(path, text);
  return key;
}

}  // namespace tigerbot::serve
