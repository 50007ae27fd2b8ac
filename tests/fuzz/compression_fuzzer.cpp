#include "reader_checks.h"

namespace {

struct Unpacked {
  std::string bytes, damage;
  bool operator==(const Unpacked&) const = default;
};

Unpacked unpack(std::string_view archive, std::size_t piece, std::size_t step) {
  Unpacked out;
  try {
    const auto source = tigerbot::data::decompress(
        std::make_unique<tigerbot::data::PiecewiseSource>(archive, piece), 200);
    std::string room(step, '\0');
    while (const auto got = source->read(room.data(), room.size())) {
      if (got > room.size()) std::abort();
      out.bytes.append(room, 0, got);
      // A bomb is stopped 16 MiB on at the latest.
      if (out.bytes.size() > (16u << 20) + 200 * archive.size() + step) std::abort();
    }
    if (source->consumed() > archive.size()) std::abort();
  } catch (const tigerbot::data::DamagedInput& error) {
    out.damage = error.what();
  }
  return out;
}

}  // namespace

// Whatever the bytes are, they decompress or are damaged, and a bomb is stopped. What comes out of
// an undamaged archive does not depend on the pieces in which it is read. (What is damage may:
// libzstd 1.5 passes a frame shorter than it claims if it comes in pieces.)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view archive(reinterpret_cast<const char*>(data), size);
  const auto whole = unpack(archive, size + 1, 1 << 16);
  const auto pieces = unpack(archive, 5, 333);
  if (whole.damage.empty() && pieces.damage.empty() && whole.bytes != pieces.bytes) std::abort();
  return 0;
}
