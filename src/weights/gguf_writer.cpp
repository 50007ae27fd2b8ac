#include "weights/gguf_writer.h"

#include "base/error.h"
#include "base/files.h"

namespace tigerbot {
namespace {

constexpr std::uint64_t kAlignment = 32;

template <typename T>
void put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void put_string(std::string& bytes, std::string_view text) {
  put<std::uint64_t>(bytes, text.size());
  bytes.append(text);
}

void put_array(std::string& bytes, const GgufArray& array) {
  put(bytes, array.type);
  put<std::uint64_t>(bytes, array.size);
  for (const auto text : array.strings) put_string(bytes, text);
  for (const auto& inner : array.arrays) put_array(bytes, inner);
  bytes.append(reinterpret_cast<const char*>(array.numbers.data()), array.numbers.size());
}

std::uint64_t padding(std::uint64_t size) { return (kAlignment - size % kAlignment) % kAlignment; }

}  // namespace

void GgufWriter::begin(std::string_view key, GgufValueType type) {
  put_string(metadata_, key);
  put(metadata_, type);
  ++pairs_;
}

void GgufWriter::add(std::string_view key, std::string_view value) {
  begin(key, GgufValueType::kString);
  put_string(metadata_, value);
}

void GgufWriter::add_uint32(std::string_view key, std::int64_t value) {
  if (value < 0 || value > UINT32_MAX) {
    fail("{} is {}, which does not fit the 32 bits that GGUF gives it", key, value);
  }
  begin(key, GgufValueType::kUint32);
  put(metadata_, static_cast<std::uint32_t>(value));
}

void GgufWriter::add_float32(std::string_view key, double value) {
  begin(key, GgufValueType::kFloat32);
  put(metadata_, static_cast<float>(value));
}

void GgufWriter::add_bool(std::string_view key, bool value) {
  begin(key, GgufValueType::kBool);
  put<std::uint8_t>(metadata_, value ? 1 : 0);
}

void GgufWriter::add_strings(std::string_view key, std::span<const std::string> values) {
  begin(key, GgufValueType::kArray);
  put(metadata_, GgufValueType::kString);
  put<std::uint64_t>(metadata_, values.size());
  for (const auto& value : values) put_string(metadata_, value);
}

void GgufWriter::add_int32s(std::string_view key, std::span<const std::int32_t> values) {
  begin(key, GgufValueType::kArray);
  put(metadata_, GgufValueType::kInt32);
  put<std::uint64_t>(metadata_, values.size());
  for (const auto value : values) put(metadata_, value);
}

void GgufWriter::add_float32s(std::string_view key, std::span<const float> values) {
  begin(key, GgufValueType::kArray);
  put(metadata_, GgufValueType::kFloat32);
  put<std::uint64_t>(metadata_, values.size());
  for (const auto value : values) put(metadata_, value);
}

void GgufWriter::add_value(std::string_view key, const GgufValue& value) {
  begin(key, value.type);
  const auto number = [&]<typename T>(T) {
    if (const auto* wide = std::get_if<std::uint64_t>(&value.value)) {
      put(metadata_, static_cast<T>(*wide));
    } else if (const auto* wide = std::get_if<std::int64_t>(&value.value)) {
      put(metadata_, static_cast<T>(*wide));
    } else {
      put(metadata_, static_cast<T>(std::get<double>(value.value)));
    }
  };
  switch (value.type) {
    case GgufValueType::kString:
      return put_string(metadata_, std::get<std::string_view>(value.value));
    case GgufValueType::kArray:
      return put_array(metadata_, std::get<GgufArray>(value.value));
    case GgufValueType::kBool:
      return put<std::uint8_t>(metadata_, std::get<bool>(value.value) ? 1 : 0);
    case GgufValueType::kUint8:
      return number(std::uint8_t{});
    case GgufValueType::kInt8:
      return number(std::int8_t{});
    case GgufValueType::kUint16:
      return number(std::uint16_t{});
    case GgufValueType::kInt16:
      return number(std::int16_t{});
    case GgufValueType::kUint32:
      return number(std::uint32_t{});
    case GgufValueType::kInt32:
      return number(std::int32_t{});
    case GgufValueType::kFloat32:
      return number(float{});
    case GgufValueType::kUint64:
      return number(std::uint64_t{});
    case GgufValueType::kInt64:
      return number(std::int64_t{});
    case GgufValueType::kFloat64:
      return number(double{});
  }
}

void GgufWriter::add_tensor(std::string name, std::vector<std::int64_t> shape, GgmlType type,
                            std::function<std::vector<std::byte>()> load) {
  const GgmlTypeInfo& info = ggml_type_info(type);
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) elements *= size;
  const auto bytes = static_cast<std::uint64_t>(elements / info.block_elements * info.block_bytes);
  tensors_.push_back({std::move(name), std::move(shape), type, bytes, std::move(load)});
}

void GgufWriter::write(const std::filesystem::path& file) const {
  std::string header = "GGUF";
  put<std::uint32_t>(header, 3);
  put<std::uint64_t>(header, tensors_.size());
  put<std::uint64_t>(header, pairs_);
  header += metadata_;
  std::uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    put_string(header, tensor.name);
    put<std::uint32_t>(header, static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      put<std::uint64_t>(header, static_cast<std::uint64_t>(*size));
    }
    put(header, tensor.type);
    put<std::uint64_t>(header, offset);
    offset += tensor.bytes + padding(tensor.bytes);
  }
  header.append(padding(header.size()), '\0');

  AtomicFile out(file);
  out.write(header);
  for (const Tensor& tensor : tensors_) {
    const std::vector<std::byte> bytes = tensor.load();
    if (bytes.size() != tensor.bytes) {
      fail_internal("tensor {} has {} bytes, not {}", tensor.name, bytes.size(), tensor.bytes);
    }
    out.write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    out.write(std::string(padding(bytes.size()), '\0'));
  }
  out.commit();
}

}  // namespace tigerbot
