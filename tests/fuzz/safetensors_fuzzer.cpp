#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "weights/safetensors_header.h"

// Whatever the bytes are, either an Error comes or every tensor lies inside them with the size that
// its shape asks for.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  try {
    const auto header = tigerbot::parse_safetensors_header(file, "fuzz.safetensors");
    std::uint64_t end = 0;
    for (const auto& entry : header.entries) {
      std::uint64_t bytes = static_cast<std::uint64_t>(safetensors_type_size(entry.type));
      for (const auto dimension : entry.shape) bytes *= static_cast<std::uint64_t>(dimension);
      if (bytes != entry.bytes || entry.begin < end || entry.begin > size ||
          entry.bytes > size - entry.begin) {
        std::abort();
      }
      end = entry.begin + entry.bytes;
    }
    // What we would write of it reads back the same.
    std::string again = format_safetensors_header(header.entries, header.metadata);
    again.resize(again.size() + (header.entries.empty() ? 0 : end - header.entries.front().begin));
    const auto reread = tigerbot::parse_safetensors_header(
        {reinterpret_cast<const std::byte*>(again.data()), again.size()}, "again.safetensors");
    if (reread.entries.size() != header.entries.size()) std::abort();
  } catch (const tigerbot::Error&) {
  }
  return 0;
}
