#include "serve/keys.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/scratch_folder.h"

namespace tigerbot::serve {
namespace {

using namespace std::chrono_literals;

template <typename Action>
void expect_error(Action&& action, std::initializer_list<const char*> words) {
  const std::string message = testing::error_of(action);
  for (const char* word : words) EXPECT_NE(message.find(word), std::string::npos) << message;
}

TEST(Keys, AKeyOpensAndItsHashAloneIsStored) {
  const testing::ScratchFolder folder;
  const auto path = folder / "keys.toml";
  const std::string alice = add_key(path, "alice", {});
  const std::string bob = add_key(path, "bob", {.requests_per_minute = 5, .tokens_per_minute = 7});
  EXPECT_TRUE(alice.starts_with("tb-"));
  EXPECT_GE(alice.size(), 40U);
  EXPECT_NE(alice, bob);
  const std::string text = read_file(path);
  EXPECT_EQ(text.find(alice), std::string::npos);
  EXPECT_EQ(text.find(bob.substr(3)), std::string::npos);

  const KeyRing ring = KeyRing::read(path);
  ASSERT_NE(ring.find(alice), nullptr);
  EXPECT_EQ(ring.find(alice)->name(), "alice");
  ASSERT_NE(ring.find(bob), nullptr);
  EXPECT_EQ(ring.find(bob)->limits().tokens_per_minute, 7);
  EXPECT_EQ(ring.find(""), nullptr);
  EXPECT_EQ(ring.find(alice.substr(0, alice.size() - 1)), nullptr);
  EXPECT_EQ(ring.find(alice + "x"), nullptr);
  EXPECT_EQ(ring.find(std::string(100000, 'a')), nullptr);
}

TEST(Keys, RefuseFilesThatAreNotRight) {
  const testing::ScratchFolder folder;
  const auto path = folder / "keys.toml";
  const std::string hash(64, 'a');
  const auto read = [&](const std::string& text) {
    write_file(path, text);
    return [&] { KeyRing::read(path); };
  };
  expect_error(read(""), {"no keys in it", "--new-key"});
  expect_error(read("[[key]]\nname = \"a\"\nsha256 = \"12\"\n"), {"64 hexadecimal digits"});
  expect_error(read("[[key]]\nname = \"a b\"\nsha256 = \"" + hash + "\"\n"), {"name"});
  expect_error(read("[[key]]\nname = \"a\"\nsha256 = \"" + hash + "\"\nlimit = 4\n"), {"limit"});
  expect_error(read("[[key]]\nname = \"a\"\nsha256 = \"" + hash + "\"\nrequests_per_minute = -1\n"),
               {"requests_per_minute"});
  expect_error(read("[[key]]\nname = \"a\"\nsha256 = \"" + hash +
                    "\"\n[[key]]\nname = \"a\"\n"
                    "sha256 = \"" +
                    hash + "\"\n"),
               {"stands twice"});
  write_file(path, "");
  add_key(path, "a", {});
  expect_error([&] { add_key(path, "a", {}); }, {"a key named a already"});
}

TEST(Keys, AnAllowanceFillsEvenlyUpToAMinutesWorth) {
  const auto begin = Allowance::Clock::time_point(1h);
  Allowance allowance(60, begin);
  EXPECT_DOUBLE_EQ(allowance.left(begin), 60);
  allowance.take(60, begin);
  EXPECT_DOUBLE_EQ(allowance.left(begin), 0);
  EXPECT_DOUBLE_EQ(allowance.seconds_until(1, begin), 1);
  EXPECT_NEAR(allowance.left(begin + 10s), 10, 1e-9);
  EXPECT_NEAR(allowance.left(begin + 10min), 60, 1e-9);
}

TEST(Keys, RequestsAndTokensAreLimitedByTheMinute) {
  const auto begin = Allowance::Clock::now();
  ApiKey key("a", "", {.requests_per_minute = 2, .tokens_per_minute = 100});
  EXPECT_TRUE(key.admit(begin).admitted);
  EXPECT_TRUE(key.admit(begin).admitted);
  const auto refused = key.admit(begin);
  EXPECT_FALSE(refused.admitted);
  EXPECT_EQ(refused.what, "requests");
  EXPECT_NEAR(refused.retry_after, 30, 1);
  // More tokens than there were, since an answer's length is known at its end only.
  EXPECT_TRUE(key.admit(begin + 60s).admitted);
  key.charge_tokens(150, begin + 60s);
  const auto spent = key.admit(begin + 61s);
  EXPECT_FALSE(spent.admitted);
  EXPECT_EQ(spent.what, "tokens");
  EXPECT_NEAR(spent.retry_after, 30, 1);
  EXPECT_TRUE(key.admit(begin + 92s).admitted);
}

}  // namespace
}  // namespace tigerbot::serve
