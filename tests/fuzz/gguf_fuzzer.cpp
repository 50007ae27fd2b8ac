#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "weights/gguf_file.h"

// What was read is used, so that no compiler leaves the reading out.
double fuzz_checksum = 0;

namespace {

void touch(const tigerbot::GgufArray& array, double& sum) {
  for (const auto text : array.strings) {
    for (const char c : text) sum += c;
  }
  for (const auto& inner : array.arrays) touch(inner, sum);
  if (array.type == tigerbot::GgufValueType::kString ||
      array.type == tigerbot::GgufValueType::kArray) {
    return;
  }
  for (std::uint64_t i = 0; i < array.size; ++i) sum += array.number(i);
}

}  // namespace

// Whatever the bytes are, either an Error comes or every value can be read and every tensor lies
// inside the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  try {
    const auto header = tigerbot::parse_gguf_header(file, "fuzz.gguf");
    double sum = 0;
    for (const auto& [key, value] : header.metadata) {
      if (const auto* array = std::get_if<tigerbot::GgufArray>(&value.value)) touch(*array, sum);
      if (const auto* text = std::get_if<std::string_view>(&value.value)) {
        for (const char c : *text) sum += c;
      }
    }
    for (const auto& tensor : header.tensors) {
      if (tensor.begin > size || tensor.bytes > size - tensor.begin) std::abort();
      for (std::uint64_t i = 0; i < tensor.bytes; ++i) sum += data[tensor.begin + i];
    }
    fuzz_checksum = sum;
    for (const char* key : {"general.architecture", "general.alignment", "a", "b"}) {
      try {
        (void)header.find_integer(key);
        (void)header.find_string(key);
      } catch (const tigerbot::Error&) {
      }
    }
  } catch (const tigerbot::Error&) {
  }
  return 0;
}
