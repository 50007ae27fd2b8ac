#include "weights/hub/zip_archive.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace tigerbot {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint32_t kEndOfDirectory = 0x06054b50, kZip64End = 0x06064b50,
                        kZip64Locator = 0x07064b50, kDirectoryEntry = 0x02014b50,
                        kLocalHeader = 0x04034b50;
constexpr std::uint64_t kEndSize = 22, kLocatorSize = 20, kEntrySize = 46, kLocalSize = 30;

/// A number at `offset` of a span that is long enough.
template <std::integral T>
T number(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

struct Directory {
  std::uint64_t offset, size, count;
};

Directory find_directory(const MemoryMap& file) {
  // The end record is last but for a comment of at most 65,535 bytes.
  const std::uint64_t size = file.size();
  if (size < kEndSize) fail("{}: is no zip archive", file.path().string());
  const std::uint64_t earliest = size - std::min<std::uint64_t>(size, kEndSize + 65535);
  for (std::uint64_t at = size - kEndSize + 1; at-- > earliest;) {
    const auto end = file.slice(at, kEndSize, "the end of the directory");
    if (number<std::uint32_t>(end, 0) != kEndOfDirectory) continue;
    Directory directory{number<std::uint32_t>(end, 16), number<std::uint32_t>(end, 12),
                        number<std::uint16_t>(end, 10)};
    const bool zip64 =
        directory.offset == 0xFFFFFFFF || directory.size == 0xFFFFFFFF || directory.count == 0xFFFF;
    if (zip64 && at >= kLocatorSize) {
      const auto locator = file.slice(at - kLocatorSize, kLocatorSize, "the zip64 locator");
      if (number<std::uint32_t>(locator, 0) == kZip64Locator) {
        const auto big =
            file.slice(number<std::uint64_t>(locator, 8), 56, "the zip64 end of the directory");
        if (number<std::uint32_t>(big, 0) != kZip64End)
          fail("{}: the zip64 directory is damaged", file.path().string());
        directory = {number<std::uint64_t>(big, 48), number<std::uint64_t>(big, 40),
                     number<std::uint64_t>(big, 32)};
      }
    }
    return directory;
  }
  fail("{}: is no zip archive", file.path().string());
}

/// Sizes and offset past 4 GiB stand in an extra field, only those that do not fit.
void read_zip64_extra(std::span<const std::byte> extra, ZipArchive::Entry& entry) {
  while (extra.size() >= 4) {
    const auto id = number<std::uint16_t>(extra, 0);
    const std::size_t length = number<std::uint16_t>(extra, 2);
    if (length > extra.size() - 4) return;
    if (id == 1) {
      auto fields = extra.subspan(4, length);
      for (std::uint64_t* value : {&entry.size, &entry.compressed_size, &entry.header_offset}) {
        if (*value != 0xFFFFFFFF || fields.size() < 8) continue;
        *value = number<std::uint64_t>(fields, 0);
        fields = fields.subspan(8);
      }
      return;
    }
    extra = extra.subspan(4 + length);
  }
}

}  // namespace

ZipArchive::ZipArchive(const std::filesystem::path& path) : file_(path) {
  const Directory directory = find_directory(file_);
  auto rest = file_.slice(directory.offset, directory.size, "the directory of the archive");
  for (std::uint64_t k = 0; k < directory.count; ++k) {
    if (rest.size() < kEntrySize || number<std::uint32_t>(rest, 0) != kDirectoryEntry)
      fail("{}: the directory of the archive is damaged", path.string());
    Entry entry;
    entry.method = number<std::uint16_t>(rest, 10);
    entry.crc = number<std::uint32_t>(rest, 16);
    entry.compressed_size = number<std::uint32_t>(rest, 20);
    entry.size = number<std::uint32_t>(rest, 24);
    entry.header_offset = number<std::uint32_t>(rest, 42);
    const std::size_t name_length = number<std::uint16_t>(rest, 28);
    const std::size_t extra_length = number<std::uint16_t>(rest, 30);
    const std::size_t total =
        kEntrySize + name_length + extra_length + number<std::uint16_t>(rest, 32);
    if (total > rest.size()) fail("{}: the directory of the archive is damaged", path.string());
    entry.name.assign(reinterpret_cast<const char*>(rest.data()) + kEntrySize, name_length);
    read_zip64_extra(rest.subspan(kEntrySize + name_length, extra_length), entry);
    entries_.push_back(std::move(entry));
    rest = rest.subspan(total);
  }
}

void ZipArchive::extract(const Entry& entry, const std::filesystem::path& to) const {
  const std::string what = quote(entry.name);
  const auto header = file_.slice(entry.header_offset, kLocalSize, what);
  if (number<std::uint32_t>(header, 0) != kLocalHeader)
    fail("{}: {} has no header: the archive is damaged", file_.path().string(), what);
  const std::uint64_t data_offset = entry.header_offset + kLocalSize +
                                    number<std::uint16_t>(header, 26) +
                                    number<std::uint16_t>(header, 28);
  auto data = file_.slice(data_offset, entry.compressed_size, what);
  const auto damaged = [&] { fail("{}: {} is damaged", file_.path().string(), what); };

  AtomicFile out(to);
  std::uint64_t written = 0;
  uLong crc = ::crc32(0, nullptr, 0);
  const auto emit = [&](const void* bytes, std::size_t size) {
    written += size;
    if (written > entry.size) damaged();
    crc = ::crc32_z(crc, static_cast<const Bytef*>(bytes), size);
    out.write({static_cast<const char*>(bytes), size});
  };
  if (entry.method == 0) {
    emit(data.data(), data.size());
  } else if (entry.method == 8) {
    z_stream stream{};
    if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail_internal("zlib could not start");
    struct End {
      z_stream* stream;
      ~End() { ::inflateEnd(stream); }
    } end{&stream};
    std::string block(1 << 20, '\0');
    int status = Z_OK;
    while (status != Z_STREAM_END) {
      const std::size_t take = std::min<std::size_t>(data.size(), 1 << 30);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
      stream.avail_in = static_cast<uInt>(take);
      stream.next_out = reinterpret_cast<Bytef*>(block.data());
      stream.avail_out = static_cast<uInt>(block.size());
      status = ::inflate(&stream, Z_NO_FLUSH);
      if (status != Z_OK && status != Z_STREAM_END) damaged();
      emit(block.data(), block.size() - stream.avail_out);
      data = data.subspan(take - stream.avail_in);
    }
  } else {
    fail("{}: {} is compressed by method {}, which is not supported", file_.path().string(), what,
         entry.method);
  }
  if (written != entry.size || crc != entry.crc) damaged();
  out.commit();
}

}  // namespace tigerbot
