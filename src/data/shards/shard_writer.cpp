#include "data/shards/shard_writer.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"

namespace tigerbot::data {
namespace {

/// A file and its checksum.
class HashedFile {
 public:
  explicit HashedFile(const std::filesystem::path& path) : file_(path) {}

  void write(std::string_view bytes) {
    file_.write(bytes);
    digest_.update(bytes);
  }
  template <class T>
  void write_value(T value) {
    write({reinterpret_cast<const char*>(&value), sizeof value});
  }
  std::string finish_hash() { return digest_.finish_hex(); }
  void commit() { file_.commit(); }

 private:
  AtomicFile file_;
  Digest digest_{Digest::Kind::kSha256};
};

/// Values gathered into blocks before they are written.
class ValueWriter {
 public:
  explicit ValueWriter(HashedFile& file) : file_(file) {}
  void push(std::uint64_t value) {
    values_[count_++] = value;
    if (count_ == values_.size()) flush();
  }
  void flush() {
    file_.write({reinterpret_cast<const char*>(values_.data()), count_ * sizeof values_[0]});
    count_ = 0;
  }

 private:
  HashedFile& file_;
  std::array<std::uint64_t, 4096> values_;
  std::size_t count_ = 0;
};

template <class Function>
void for_each_length(const ShardPart& part, const Function& function) {
  for (std::size_t at = 0; at < part.lengths.size(); at += sizeof(std::int32_t)) {
    std::int32_t length;
    std::memcpy(&length, part.lengths.data() + at, sizeof length);
    function(static_cast<std::uint64_t>(length));
  }
}

}  // namespace

ShardManifest write_shard(const std::filesystem::path& prefix, ShardType type,
                          std::size_t part_count, const std::function<ShardPart(std::size_t)>& part,
                          ShardManifest manifest) {
  const std::uint64_t width = shard_type_size(type);
  const auto path = [&](const char* ending) {
    return std::filesystem::path(prefix.string() + ending);
  };
  if (prefix.has_parent_path()) create_folders(prefix.parent_path());
  HashedFile bin(path(".bin")), index(path(".idx"));
  std::uint64_t documents = 0, bytes = 0;
  for (std::size_t k = 0; k < part_count; ++k) {
    const ShardPart now = part(k);
    std::uint64_t tokens = 0;
    for_each_length(now, [&](std::uint64_t length) { tokens += length; });
    if (tokens * width != now.ids.size())
      fail_internal("part {} of {}: {} tokens do not take {} bytes", k, prefix.string(), tokens,
                    now.ids.size());
    documents += now.lengths.size() / sizeof(std::int32_t);
    bytes += now.ids.size();
    bin.write(now.ids);
  }

  index.write(std::string_view("MMIDIDX\0\0", 9));
  index.write_value(std::uint64_t{1});
  index.write_value(static_cast<std::uint8_t>(type));
  index.write_value(documents);
  index.write_value(documents + 1);
  for (std::size_t k = 0; k < part_count; ++k) index.write(part(k).lengths);
  ValueWriter values(index);
  std::uint64_t pointer = 0;
  for (std::size_t k = 0; k < part_count; ++k)
    for_each_length(part(k), [&](std::uint64_t length) {
      values.push(pointer);
      pointer += length * width;
    });
  for (std::uint64_t document = 0; document <= documents; ++document) values.push(document);
  values.flush();

  manifest.total.documents = documents;
  manifest.total.tokens = bytes / width;
  manifest.bin_sha256 = bin.finish_hash();
  manifest.idx_sha256 = index.finish_hash();
  // An index of an older shard must not stand beside the new ids, not even for a moment.
  std::error_code ignored;
  std::filesystem::remove(path(".idx"), ignored);
  bin.commit();
  write_file(path(".json"), shard_manifest_json(manifest).dump(2) + "\n");
  index.commit();
  return manifest;
}

}  // namespace tigerbot::data
