#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/ggml_types.h"
#include "weights/gguf_file.h"

namespace tigerbot {

/// Collects metadata and tensors and writes them as a GGUF v3 file, whole or not at all.
class GgufWriter {
 public:
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, const char* value) { add(key, std::string_view(value)); }
  void add_uint32(std::string_view key, std::int64_t value);
  void add_float32(std::string_view key, double value);
  void add_bool(std::string_view key, bool value);
  void add_strings(std::string_view key, std::span<const std::string> values);
  void add_int32s(std::string_view key, std::span<const std::int32_t> values);
  void add_float32s(std::string_view key, std::span<const float> values);
  /// A value as another file holds it.
  void add_value(std::string_view key, const GgufValue& value);

  /// `shape` is outermost first. `load` gives the tensor's bytes when its turn comes.
  void add_tensor(std::string name, std::vector<std::int64_t> shape, GgmlType type,
                  std::function<std::vector<std::byte>()> load);

  void write(const std::filesystem::path& file) const;

 private:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    GgmlType type;
    std::uint64_t bytes;
    std::function<std::vector<std::byte>()> load;
  };

  void begin(std::string_view key, GgufValueType type);

  std::uint64_t pairs_ = 0;
  std::string metadata_;  // as it will lie in the file
  std::vector<Tensor> tensors_;
};

}  // namespace tigerbot
