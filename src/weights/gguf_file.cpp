#include "weights/gguf_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"

namespace tigerbot {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files here are little-endian");

constexpr std::uint64_t kMaxKeyBytes = 65535;  // the specification's limit
constexpr std::uint64_t kMaxNameBytes = 1024;
constexpr std::uint32_t kMaxDimensions = 4;
constexpr int kMaxArrayDepth = 8;
constexpr std::uint64_t kMaxAlignment = 1 << 20;

std::uint64_t number_bytes(GgufValueType type) {
  switch (type) {
    case GgufValueType::kUint8:
    case GgufValueType::kInt8:
    case GgufValueType::kBool:
      return 1;
    case GgufValueType::kUint16:
    case GgufValueType::kInt16:
      return 2;
    case GgufValueType::kUint32:
    case GgufValueType::kInt32:
    case GgufValueType::kFloat32:
      return 4;
    default:
      return 8;
  }
}

template <typename T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// Takes values off the front and never reads past the end.
class Cursor {
 public:
  Cursor(std::span<const std::byte> file, const std::string& path) : file_(file), path_(path) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t left() const { return file_.size() - position_; }

  std::span<const std::byte> bytes(std::uint64_t count, std::string_view what) {
    if (count > left()) {
      fail("{}: truncated or damaged: {} at byte {} needs {} bytes and {} are left; fetch it again",
           path_, what, position_, count, left());
    }
    const auto part = file_.subspan(position_, count);
    position_ += count;
    return part;
  }

  template <typename T>
  T number(std::string_view what) {
    return load<T>(bytes(sizeof(T), what).data());
  }

  std::string_view string(std::uint64_t max_bytes, std::string_view what) {
    const auto length = number<std::uint64_t>(what);
    if (length > max_bytes) {
      fail("{}: damaged: {} at byte {} has {} bytes, the format allows {}", path_, what,
           position_ - 8, length, max_bytes);
    }
    const auto part = bytes(length, what);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }

 private:
  std::span<const std::byte> file_;
  const std::string& path_;
  std::uint64_t position_ = 0;
};

class Parser {
 public:
  Parser(std::span<const std::byte> file, const std::string& path)
      : path_(path), file_bytes_(file.size()), cursor_(file, path) {}

  GgufHeader parse() {
    header_.path = path_;
    const auto magic = cursor_.bytes(4, "the magic number");
    if (std::memcmp(magic.data(), "GGUF", 4) != 0) {
      fail("{}: does not begin with \"GGUF\"; this is no GGUF file", path_);
    }
    header_.version = cursor_.number<std::uint32_t>("the version");
    if (header_.version == 0x02000000 || header_.version == 0x03000000) {
      fail(
          "{}: a big-endian GGUF file; convert it to little-endian with gguf-py's "
          "gguf-convert-endian",
          path_);
    }
    if (header_.version != 2 && header_.version != 3) {
      fail("{}: GGUF version {}; versions 2 and 3 are read", path_, header_.version);
    }
    const auto tensor_count = cursor_.number<std::uint64_t>("the number of tensors");
    const auto pair_count = cursor_.number<std::uint64_t>("the number of metadata pairs");
    // Nothing is reserved: each entry must first be there.
    for (std::uint64_t i = 0; i < pair_count; ++i) parse_pair();
    find_alignment();
    for (std::uint64_t i = 0; i < tensor_count; ++i) parse_tensor();
    place_tensors();
    return std::move(header_);
  }

 private:
  GgufValueType value_type(std::string_view what) {
    const auto type = cursor_.number<std::uint32_t>(what);
    if (type > static_cast<std::uint32_t>(GgufValueType::kFloat64)) {
      fail("{}: damaged: {} at byte {} has the unknown type {}", path_, what,
           cursor_.position() - 4, type);
    }
    return static_cast<GgufValueType>(type);
  }

  void parse_pair() {
    const std::string_view key = cursor_.string(kMaxKeyBytes, "a metadata key");
    if (key.empty()) {
      fail("{}: damaged: an empty metadata key at byte {}", path_, cursor_.position());
    }
    const auto type = value_type("a metadata value");
    if (!header_.metadata.emplace(key, parse_value(type)).second) {
      fail("{}: the metadata key {} stands twice; write the file again with one of each", path_,
           quote(key));
    }
  }

  GgufValue parse_value(GgufValueType type) {
    GgufValue value;
    value.type = type;
    const char* what = "a metadata value";
    switch (type) {
      case GgufValueType::kString:
        value.value = cursor_.string(UINT64_MAX, what);
        break;
      case GgufValueType::kArray:
        value.value = parse_array(1);
        break;
      case GgufValueType::kBool: {
        const auto byte = cursor_.number<std::uint8_t>(what);
        if (byte > 1) {
          fail("{}: damaged: a boolean at byte {} is {}", path_, cursor_.position() - 1, byte);
        }
        value.value = byte == 1;
        break;
      }
      case GgufValueType::kUint8:
        value.value = std::uint64_t{cursor_.number<std::uint8_t>(what)};
        break;
      case GgufValueType::kUint16:
        value.value = std::uint64_t{cursor_.number<std::uint16_t>(what)};
        break;
      case GgufValueType::kUint32:
        value.value = std::uint64_t{cursor_.number<std::uint32_t>(what)};
        break;
      case GgufValueType::kUint64:
        value.value = cursor_.number<std::uint64_t>(what);
        break;
      case GgufValueType::kInt8:
        value.value = std::int64_t{cursor_.number<std::int8_t>(what)};
        break;
      case GgufValueType::kInt16:
        value.value = std::int64_t{cursor_.number<std::int16_t>(what)};
        break;
      case GgufValueType::kInt32:
        value.value = std::int64_t{cursor_.number<std::int32_t>(what)};
        break;
      case GgufValueType::kInt64:
        value.value = cursor_.number<std::int64_t>(what);
        break;
      case GgufValueType::kFloat32:
        value.value = double{cursor_.number<float>(what)};
        break;
      case GgufValueType::kFloat64:
        value.value = cursor_.number<double>(what);
        break;
    }
    return value;
  }

  GgufArray parse_array(int depth) {
    if (depth > kMaxArrayDepth) {
      fail("{}: damaged: arrays nested deeper than {} at byte {}", path_, kMaxArrayDepth,
           cursor_.position());
    }
    GgufArray array;
    array.type = value_type("an array");
    array.size = cursor_.number<std::uint64_t>("an array's length");
    if (array.type == GgufValueType::kArray) {
      for (std::uint64_t i = 0; i < array.size; ++i) {
        array.arrays.push_back(parse_array(depth + 1));
      }
    } else if (array.type == GgufValueType::kString) {
      if (array.size <= cursor_.left() / 8) array.strings.reserve(array.size);
      for (std::uint64_t i = 0; i < array.size; ++i) {
        array.strings.push_back(cursor_.string(UINT64_MAX, "a string of an array"));
      }
    } else {
      const std::uint64_t each = number_bytes(array.type);
      if (array.size > cursor_.left() / each) {
        fail(
            "{}: truncated or damaged: an array of {} values at byte {}, and {} bytes are left; "
            "fetch it again",
            path_, array.size, cursor_.position(), cursor_.left());
      }
      array.numbers = cursor_.bytes(array.size * each, "an array");
    }
    return array;
  }

  void find_alignment() {
    const auto alignment = header_.find_integer("general.alignment").value_or(32);
    if (alignment < 8 || static_cast<std::uint64_t>(alignment) > kMaxAlignment ||
        !std::has_single_bit(static_cast<std::uint64_t>(alignment))) {
      fail("{}: general.alignment is {}; it must be a power of two from 8 to {}", path_, alignment,
           kMaxAlignment);
    }
    header_.alignment = static_cast<std::uint64_t>(alignment);
  }

  void parse_tensor() {
    GgufTensorInfo tensor;
    tensor.name = cursor_.string(kMaxNameBytes, "a tensor's name");
    const auto dimensions = cursor_.number<std::uint32_t>("a tensor's number of dimensions");
    if (dimensions > kMaxDimensions) {
      fail("{}: damaged: tensor {} has {} dimensions, the format allows {}", path_,
           quote(tensor.name), dimensions, kMaxDimensions);
    }
    std::uint64_t elements = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      const auto size = cursor_.number<std::uint64_t>("a tensor's shape");
      if (__builtin_mul_overflow(elements, size, &elements) || size > INT64_MAX ||
          elements > INT64_MAX) {
        fail("{}: tensor {} has an absurd shape; the file is damaged", path_, quote(tensor.name));
      }
      tensor.shape.insert(tensor.shape.begin(), static_cast<std::int64_t>(size));
    }
    const auto type = cursor_.number<std::uint32_t>("a tensor's type");
    tensor.type = find_ggml_type(type);
    if (!tensor.type) {
      fail(
          "{}: tensor {} has the unknown type number {}; convert the model again with an older "
          "type",
          path_, quote(tensor.name), type);
    }
    const auto block = static_cast<std::uint64_t>(tensor.type->block_elements);
    const std::uint64_t row =
        tensor.shape.empty() ? 1 : static_cast<std::uint64_t>(tensor.shape.back());
    if (row % block != 0) {
      fail(
          "{}: tensor {} has rows of {} values, which {} stores in blocks of {}; the file is "
          "damaged",
          path_, quote(tensor.name), row, tensor.type->name, block);
    }
    if (__builtin_mul_overflow(elements / block,
                               static_cast<std::uint64_t>(tensor.type->block_bytes),
                               &tensor.bytes)) {
      fail("{}: tensor {} has an absurd shape; the file is damaged", path_, quote(tensor.name));
    }
    tensor.begin = cursor_.number<std::uint64_t>("a tensor's offset");
    if (tensor.begin % header_.alignment != 0) {
      fail(
          "{}: tensor {} begins at byte {} of the data, which is not aligned to {}; the file is "
          "damaged",
          path_, quote(tensor.name), tensor.begin, header_.alignment);
    }
    if (!names_.insert(tensor.name).second) {
      fail("{}: tensor {} stands twice; write the file again with one of each", path_,
           quote(tensor.name));
    }
    header_.tensors.push_back(std::move(tensor));
  }

  // Offsets count from the first aligned byte behind the header.
  void place_tensors() {
    const std::uint64_t data =
        (cursor_.position() + header_.alignment - 1) / header_.alignment * header_.alignment;
    std::vector<GgufTensorInfo*> order;
    for (GgufTensorInfo& tensor : header_.tensors) {
      const std::uint64_t available = file_bytes_ > data ? file_bytes_ - data : 0;
      if (tensor.begin > available || tensor.bytes > available - tensor.begin) {
        fail(
            "{}: truncated or damaged: tensor {} needs {} bytes at {}, the file ends at {}; fetch "
            "it again",
            path_, quote(tensor.name), tensor.bytes, data + tensor.begin, file_bytes_);
      }
      // A tensor without elements may lie past the last padding byte, which may be left out.
      tensor.begin = std::min(data + tensor.begin, file_bytes_);
      order.push_back(&tensor);
    }
    std::ranges::sort(order, {}, [](const GgufTensorInfo* tensor) {
      return std::pair(tensor->begin, tensor->bytes);
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (order[i - 1]->begin + order[i - 1]->bytes > order[i]->begin) {
        fail("{}: tensors {} and {} overlap; the file is damaged", path_, quote(order[i - 1]->name),
             quote(order[i]->name));
      }
    }
  }

  const std::string& path_;
  std::uint64_t file_bytes_;
  Cursor cursor_;
  GgufHeader header_;
  std::unordered_set<std::string_view> names_;
};

}  // namespace

std::string_view gguf_value_type_name(GgufValueType type) {
  switch (type) {
    case GgufValueType::kUint8:
      return "uint8";
    case GgufValueType::kInt8:
      return "int8";
    case GgufValueType::kUint16:
      return "uint16";
    case GgufValueType::kInt16:
      return "int16";
    case GgufValueType::kUint32:
      return "uint32";
    case GgufValueType::kInt32:
      return "int32";
    case GgufValueType::kFloat32:
      return "float32";
    case GgufValueType::kBool:
      return "bool";
    case GgufValueType::kString:
      return "string";
    case GgufValueType::kArray:
      return "array";
    case GgufValueType::kUint64:
      return "uint64";
    case GgufValueType::kInt64:
      return "int64";
    case GgufValueType::kFloat64:
      return "float64";
  }
  return "unknown";
}

std::int64_t GgufArray::integer(std::uint64_t index) const {
  const std::byte* at = numbers.data() + index * number_bytes(type);
  switch (type) {
    case GgufValueType::kUint8:
    case GgufValueType::kBool:
      return load<std::uint8_t>(at);
    case GgufValueType::kInt8:
      return load<std::int8_t>(at);
    case GgufValueType::kUint16:
      return load<std::uint16_t>(at);
    case GgufValueType::kInt16:
      return load<std::int16_t>(at);
    case GgufValueType::kUint32:
      return load<std::uint32_t>(at);
    case GgufValueType::kInt32:
      return load<std::int32_t>(at);
    default:
      return load<std::int64_t>(at);
  }
}

double GgufArray::number(std::uint64_t index) const {
  const std::byte* at = numbers.data() + index * number_bytes(type);
  if (type == GgufValueType::kFloat32) return load<float>(at);
  if (type == GgufValueType::kFloat64) return load<double>(at);
  return static_cast<double>(integer(index));
}

GgufHeader parse_gguf_header(std::span<const std::byte> file, const std::string& path) {
  return Parser(file, path).parse();
}

const GgufTensorInfo* GgufHeader::find_tensor(std::string_view name) const {
  const auto found = std::ranges::find(tensors, name, &GgufTensorInfo::name);
  return found == tensors.end() ? nullptr : &*found;
}

const GgufValue* GgufHeader::look_up(std::string_view key) const {
  const auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : &found->second;
}

void GgufHeader::wrong_type(std::string_view key, const GgufValue& value,
                            std::string_view wanted) const {
  fail("{}: the metadata value {} is of type {}; {} is needed", path, key,
       gguf_value_type_name(value.type), wanted);
}

std::optional<std::string_view> GgufHeader::find_string(std::string_view key) const {
  const GgufValue* value = look_up(key);
  if (!value) return std::nullopt;
  const auto* text = std::get_if<std::string_view>(&value->value);
  if (!text) wrong_type(key, *value, "a string");
  return *text;
}

std::optional<std::int64_t> GgufHeader::find_integer(std::string_view key) const {
  const GgufValue* value = look_up(key);
  if (!value) return std::nullopt;
  if (const auto* number = std::get_if<std::int64_t>(&value->value)) return *number;
  const auto* number = std::get_if<std::uint64_t>(&value->value);
  if (!number) wrong_type(key, *value, "an integer");
  if (*number > INT64_MAX) fail("{}: the metadata value {} is absurd: {}", path, key, *number);
  return static_cast<std::int64_t>(*number);
}

std::optional<double> GgufHeader::find_number(std::string_view key) const {
  const GgufValue* value = look_up(key);
  if (!value) return std::nullopt;
  if (const auto* number = std::get_if<double>(&value->value)) return *number;
  return static_cast<double>(*find_integer(key));
}

std::optional<bool> GgufHeader::find_bool(std::string_view key) const {
  const GgufValue* value = look_up(key);
  if (!value) return std::nullopt;
  const auto* flag = std::get_if<bool>(&value->value);
  if (!flag) wrong_type(key, *value, "a boolean");
  return *flag;
}

const GgufArray* GgufHeader::find_array(std::string_view key) const {
  const GgufValue* value = look_up(key);
  if (!value) return nullptr;
  const auto* array = std::get_if<GgufArray>(&value->value);
  if (!array) wrong_type(key, *value, "an array");
  return array;
}

std::string_view GgufHeader::get_string(std::string_view key) const {
  const auto value = find_string(key);
  if (!value) fail("{}: the metadata lacks {}; convert the model again", path, key);
  return *value;
}

std::int64_t GgufHeader::get_integer(std::string_view key) const {
  const auto value = find_integer(key);
  if (!value) fail("{}: the metadata lacks {}; convert the model again", path, key);
  return *value;
}

double GgufHeader::get_number(std::string_view key) const {
  const auto value = find_number(key);
  if (!value) fail("{}: the metadata lacks {}; convert the model again", path, key);
  return *value;
}

}  // namespace tigerbot
