#include "weights/hub/zip_writer.h"

#include <zlib.h>

#include <cstdint>
#include <stdexcept>

namespace tigerbot::testing {
namespace {

template <typename T>
void put(std::string& out, T value) {
  for (std::size_t k = 0; k < sizeof value; ++k)
    out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * k));
}

/// Raw deflate, without zlib's own header.
std::string deflated(const std::string& bytes) {
  z_stream stream{};
  if (::deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("zlib");
  std::string out(::deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

/// What a local header and a directory entry have in common.
void put_description(std::string& out, const ZipFile& file, const std::string& data) {
  put<std::uint16_t>(out, 20);
  put<std::uint16_t>(out, 0);
  put<std::uint16_t>(out, file.deflate ? 8 : 0);
  put<std::uint32_t>(out, 0);
  put<std::uint32_t>(
      out, static_cast<std::uint32_t>(
               ::crc32_z(0, reinterpret_cast<const Bytef*>(file.bytes.data()), file.bytes.size())));
  put<std::uint32_t>(out, static_cast<std::uint32_t>(data.size()));
  put<std::uint32_t>(out, static_cast<std::uint32_t>(file.bytes.size()));
  put<std::uint16_t>(out, static_cast<std::uint16_t>(file.name.size()));
  put<std::uint16_t>(out, 0);
}

}  // namespace

std::string zip_archive(const std::vector<ZipFile>& files, const std::string& comment) {
  std::string out, directory;
  for (const auto& file : files) {
    const std::string data = file.deflate ? deflated(file.bytes) : file.bytes;
    const auto offset = static_cast<std::uint32_t>(out.size());
    put<std::uint32_t>(out, 0x04034b50);
    put_description(out, file, data);
    out += file.name + data;
    put<std::uint32_t>(directory, 0x02014b50);
    put<std::uint16_t>(directory, 20);
    put_description(directory, file, data);
    put<std::uint16_t>(directory, 0);
    put<std::uint16_t>(directory, 0);
    put<std::uint16_t>(directory, 0);
    put<std::uint32_t>(directory, 0);
    put<std::uint32_t>(directory, offset);
    directory += file.name;
  }
  const auto directory_offset = static_cast<std::uint32_t>(out.size());
  out += directory;
  put<std::uint32_t>(out, 0x06054b50);
  put<std::uint32_t>(out, 0);
  put<std::uint16_t>(out, static_cast<std::uint16_t>(files.size()));
  put<std::uint16_t>(out, static_cast<std::uint16_t>(files.size()));
  put<std::uint32_t>(out, static_cast<std::uint32_t>(directory.size()));
  put<std::uint32_t>(out, directory_offset);
  put<std::uint16_t>(out, static_cast<std::uint16_t>(comment.size()));
  return out + comment;
}

}  // namespace tigerbot::testing
