#include "base/progress.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace tigerbot {
namespace {

/// What a bar writes into a plain file.
template <typename Action>
std::string plain_output(Action&& action, double interval) {
  std::FILE* file = std::tmpfile();
  action(Progress::Options{.unit_name = "rows", .stream = file, .plain_interval = interval});
  std::rewind(file);
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

TEST(Progress, WritesPlainLinesWhereThereIsNoTerminal) {
  const std::string text = plain_output(
      [](Progress::Options options) {
        Progress progress("Reading", 4, options);
        for (int k = 0; k < 4; ++k) progress.advance();
      },
      0);
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5);
  EXPECT_NE(text.find("Reading  25% 1 of 4, "), std::string::npos) << text;
  EXPECT_NE(text.find(" left\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Reading 100% 4 of 4, "), std::string::npos) << text;
  EXPECT_NE(text.find("rows/s"), std::string::npos) << text;
}

TEST(Progress, ShowsOneLastLineForAShortTask) {
  const std::string text = plain_output(
      [](Progress::Options options) {
        Progress progress("Reading", 0, options);
        progress.advance(1234567);
        progress.set_note("loss 2.5");
        progress.finish();
        progress.finish();
      },
      1000);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_NE(text.find("Reading 1,234,567, "), std::string::npos) << text;
  EXPECT_NE(text.find(", loss 2.5\n"), std::string::npos) << text;
}

TEST(Progress, SilentWhenNothingWasDoneOrDisabled) {
  EXPECT_EQ(plain_output([](Progress::Options options) { Progress("A", 5, options); }, 0), "");
  EXPECT_EQ(plain_output(
                [](Progress::Options options) {
                  options.enabled = false;
                  Progress progress("A", 5, options);
                  progress.advance(5);
                },
                0),
            "");
}

TEST(Progress, ResumedWorkDoesNotCountIntoTheRate) {
  const std::string text = plain_output(
      [](Progress::Options options) {
        Progress progress("Resuming", 1000000000, options);
        progress.set_done(999999999);
      },
      1000);
  EXPECT_NE(text.find("999,999,999 of 1,000,000,000, 0.00 rows/s"), std::string::npos) << text;
}

TEST(Progress, RedrawsOneLineOnATerminal) {
  int master = -1, slave = -1;
  winsize size{.ws_row = 24, .ws_col = 40, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, &size), 0);
  std::FILE* terminal = ::fdopen(slave, "w");
  {
    Progress progress("Fetching", 100 << 20, {.unit = Progress::Unit::kBytes, .stream = terminal});
    progress.advance(50 << 20);
  }
  std::string text(4096, '\0');
  text.resize(static_cast<std::size_t>(::read(master, text.data(), text.size())));
  std::fclose(terminal);
  ::close(master);
  EXPECT_EQ(text.substr(0, 4), "\r\x1b[K");
  EXPECT_NE(text.find("Fetching [############............]"), std::string::npos) << text;
  EXPECT_LE(text.size(), 4 + 39 + 2u);  // cut to the width of the terminal
}

TEST(Progress, AdvancesFromManyThreads) {
  const std::string text = plain_output(
      [](Progress::Options options) {
        Progress progress("Counting", 4000, options);
        std::vector<std::thread> threads;
        for (int k = 0; k < 4; ++k)
          threads.emplace_back([&] {
            for (int i = 0; i < 1000; ++i) progress.advance();
          });
        for (auto& thread : threads) thread.join();
      },
      1000);
  EXPECT_NE(text.find("4,000 of 4,000"), std::string::npos) << text;
}

}  // namespace
}  // namespace tigerbot
