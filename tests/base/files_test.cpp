#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/expect_error.h"
#include "base/memory_map.h"
#include "base/scratch_folder.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::ScratchFolder;
using ::testing::Test;

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Sets an environment variable for one scope.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) {
      had_ = true;
      old_ = old;
    }
    if (value) {
      ::setenv(name, value, 1);
    } else {
      ::unsetenv(name);
    }
  }
  ~ScopedVariable() {
    if (had_) {
      ::setenv(name_, old_.c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  bool had_ = false;
  std::string old_;
};

TEST(ReadFile, ReturnsTheBytes) {
  ScratchFolder folder;
  const std::string bytes("a\0b\n", 4);
  write_file(folder / "file", bytes);
  EXPECT_EQ(read_file(folder / "file"), bytes);
  EXPECT_EQ(size_of_file(folder / "file"), 4u);
  write_file(folder / "empty", "");
  EXPECT_EQ(read_file(folder / "empty"), "");
}

TEST(ReadFile, ReadsFilesThatDoNotKnowTheirSize) {
  EXPECT_TRUE(contains(read_file("/proc/self/status"), "Name:"));
}

TEST(ReadFile, SaysWhatIsWrong) {
  ScratchFolder folder;
  write_file(folder / "file", "12345");
  EXPECT_TRUE(contains(error_of([&] { read_file(folder / "none"); }), "No such file"));
  EXPECT_TRUE(contains(error_of([&] { read_file(folder.path()); }), "is a folder"));
  EXPECT_TRUE(contains(error_of([&] { read_file(folder / "file", 4); }), "at most 4"));
  EXPECT_TRUE(contains(error_of([&] { size_of_file(folder / "none"); }), "No such file"));
  EXPECT_TRUE(contains(error_of([&] { size_of_file(folder.path()); }), "not a regular file"));
}

TEST(AtomicFile, IsInvisibleUntilCommitted) {
  ScratchFolder folder;
  const fs::path path = folder / "file";
  write_file(path, "old");
  {
    AtomicFile file(path);
    file.write("new");
    EXPECT_EQ(read_file(path), "old");
    EXPECT_EQ(entries(folder.path()), 2u);
  }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(entries(folder.path()), 1u);
  AtomicFile file(path);
  file.write("new");
  file.commit();
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(AtomicFile, JoinsSmallAndLargeWritesInOrder) {
  ScratchFolder folder;
  std::string expected;
  AtomicFile file(folder / "file");
  std::size_t size = 1;
  for (int k = 0; k < 24; ++k, size = size * 2 % 3000017) {
    const std::string piece(size, static_cast<char>('a' + k));
    expected += piece;
    file.write(piece);
    EXPECT_EQ(file.size(), expected.size());
  }
  file.commit();
  EXPECT_EQ(read_file(folder / "file"), expected);
}

TEST(AtomicFile, WritesAtOffsetsIntoReservedSpace) {
  ScratchFolder folder;
  AtomicFile file(folder / "file");
  file.reserve(8);
  file.write_at(4, "wxyz");
  file.write("abc");
  file.commit();
  EXPECT_EQ(read_file(folder / "file"), std::string("abc\0wxyz", 8));
}

TEST(AtomicFile, SaysWhyItCannotWrite) {
  ScratchFolder folder;
  write_file(folder / "file", "x");
  EXPECT_TRUE(contains(error_of([&] { write_file(folder / "none" / "file", "x"); }),
                       "cannot be written: No such file"));
  EXPECT_TRUE(
      contains(error_of([&] { write_file(folder / "file" / "below", "x"); }), "Not a directory"));
  EXPECT_TRUE(contains(error_of([&] { write_file(folder.path(), "x"); }), "is a folder"));
}

TEST(AtomicFile, NoPermissionIsAnErrorWithThePath) {
  ScratchFolder folder;
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  const pid_t child = ::fork();
  if (child == 0) {
    // Root may write anywhere, so the child becomes nobody; others cannot give up what they lack.
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(3);
    try {
      write_file(folder / "file", "x");
    } catch (const Error& error) {
      ::_exit(contains(error.what(), "Permission denied") ? 0 : 1);
    }
    ::_exit(2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  fs::permissions(folder.path(), fs::perms::owner_all);
  EXPECT_EQ(status, 0);
}

// A full disk, as a limit on the size of files: the write fails in the middle.
TEST(AtomicFile, AWriteThatFailsInTheMiddleLeavesTheOldFileAndNoTemporary) {
  ScratchFolder folder;
  write_file(folder / "file", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file(folder / "file", std::string(8 << 20, 'x'));
    } catch (const Error& error) {
      ::_exit(contains(error.what(), "cannot be written") ? 0 : 1);
    }
    ::_exit(2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(folder / "file"), "old");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(AtomicFolder, AppearsWholeAndReplacesTheOldOne) {
  ScratchFolder folder;
  const fs::path path = folder / "model";
  {
    AtomicFolder made(path);
    write_file(made.path() / "a", "1");
  }
  EXPECT_EQ(entries(folder.path()), 0u);
  {
    AtomicFolder made(path);
    write_file(made.path() / "a", "1");
    EXPECT_FALSE(fs::exists(path));
    made.commit();
  }
  EXPECT_EQ(read_file(path / "a"), "1");
  {
    AtomicFolder made(path.string() + "/");
    write_file(made.path() / "b", "2");
    made.commit();
  }
  EXPECT_FALSE(fs::exists(path / "a"));
  EXPECT_EQ(read_file(path / "b"), "2");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(FileLock, OneHolderAtATime) {
  ScratchFolder folder;
  int inside = 0, most = 0;
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 50; ++turn) {
        const FileLock lock(folder / "lock");
        most = std::max(most, ++inside);
        --inside;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
}

TEST(CacheFolder, FollowsTheVariablesInOrder) {
  const ScopedVariable home("HOME", "/home/somebody");
  {
    const ScopedVariable own("TIGERBOT_CACHE", "/elsewhere");
    const ScopedVariable xdg("XDG_CACHE_HOME", "/xdg");
    EXPECT_EQ(cache_folder(), "/elsewhere");
  }
  const ScopedVariable own("TIGERBOT_CACHE", nullptr);
  {
    const ScopedVariable xdg("XDG_CACHE_HOME", "/xdg");
    EXPECT_EQ(cache_folder(), "/xdg/tigerbot");
  }
  {
    const ScopedVariable xdg("XDG_CACHE_HOME", "relative/is/ignored");
    EXPECT_EQ(cache_folder(), "/home/somebody/.cache/tigerbot");
  }
  const ScopedVariable xdg("XDG_CACHE_HOME", nullptr);
  EXPECT_EQ(cache_folder(), "/home/somebody/.cache/tigerbot");
  EXPECT_EQ(expand_home("~/x"), "/home/somebody/x");
  EXPECT_EQ(expand_home("/~/x"), "/~/x");
}

TEST(MemoryMap, ShowsTheFile) {
  ScratchFolder folder;
  write_file(folder / "file", "hello");
  MemoryMap map(folder / "file");
  EXPECT_EQ(map.text(), "hello");
  const MemoryMap moved = std::move(map);
  EXPECT_EQ(moved.text(), "hello");
  moved.prefetch();
  EXPECT_EQ(moved.slice(1, 3, "part").size(), 3u);
  EXPECT_EQ(moved.slice(5, 0, "nothing").size(), 0u);
}

TEST(MemoryMap, SaysWhatIsWrong) {
  ScratchFolder folder;
  write_file(folder / "empty", "");
  write_file(folder / "file", "hello");
  EXPECT_TRUE(contains(error_of([&] { MemoryMap(folder / "none"); }), "No such file"));
  EXPECT_TRUE(contains(error_of([&] { MemoryMap(folder / "empty"); }), "is empty"));
  EXPECT_TRUE(contains(error_of([&] { MemoryMap(folder.path()); }), "not a regular file"));
  const MemoryMap map(folder / "file");
  const std::string truncated = error_of([&] { map.slice(3, 3, "tensor \"w\""); });
  EXPECT_TRUE(contains(truncated, "tensor \"w\"") && contains(truncated, "truncated")) << truncated;
  error_of([&] { map.slice(6, 0, "x"); });
  error_of([&] { map.slice(2, UINT64_MAX, "x"); });
}

}  // namespace
}  // namespace tigerbot
