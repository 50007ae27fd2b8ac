#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace tigerbot {

/// The whole file. An Error if it is missing, a folder, unreadable, or longer than `max_bytes`.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes = 4ull << 30);

/// Size in bytes of the regular file `path`; an Error if there is none.
std::uint64_t size_of_file(const std::filesystem::path& path);

/// Creates `path` and the folders above it; no error if they exist.
void create_folders(const std::filesystem::path& path);

/// A file that appears whole or not at all: bytes go to a temporary name in the same folder, and
/// commit() flushes them to the disk and renames. Without commit() the destructor removes the
/// temporary. Every failure (no permission, full disk) is an Error that names the final path.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  void write(std::string_view bytes);

  /// Makes the file `size` bytes long with zeros where nothing was written, reserving the space
  /// now, so that a full disk is an error here and not in the middle.
  void reserve(std::uint64_t size);

  /// Writes at an absolute offset, from any thread; does not move where write() continues.
  void write_at(std::uint64_t offset, std::string_view bytes);

  /// Bytes that write() has taken.
  std::uint64_t size() const { return size_; }

  /// Without a wait for the disk (`flush` false) a file survives the end of the process but not a
  /// power cut: for work files that are made again if they turn out not to be whole.
  void commit(bool flush = true);

 private:
  void put(std::uint64_t offset, std::string_view bytes);
  [[noreturn]] void fail_with(int error_number) const;

  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::string buffer_;
};

/// Writes a whole file as AtomicFile does.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// A folder that appears whole or not at all: fill path(), then commit() renames it to the final
/// name (and takes the place of a folder that stood there). Without commit() it is removed.
class AtomicFolder {
 public:
  explicit AtomicFolder(std::filesystem::path final_path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const std::filesystem::path& path() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path final_, temporary_;
};

/// An advisory lock on a file (created if missing) held until destruction; waits for its turn.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

/// Where TigerBot keeps what it fetched: $TIGERBOT_CACHE, else $XDG_CACHE_HOME/tigerbot, else
/// ~/.cache/tigerbot. Not created here.
std::filesystem::path cache_folder();

/// `path` with a leading "~/" replaced by the home folder.
std::filesystem::path expand_home(std::string_view path);

}  // namespace tigerbot
