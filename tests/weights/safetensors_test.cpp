#include "weights/safetensors.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "base/memory_map.h"
#include "weights/files_for_tests.h"
#include "weights/safetensors_header.h"

namespace tigerbot {
namespace {

// A file of this header and so many bytes of data.
std::string file_of(std::string header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, '\1');
}

void expect_refused(const std::string& bytes, const std::string& part) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(bytes.data()),
                                        bytes.size());
  expect_error([&] { parse_safetensors_header(file, "m.safetensors"); }, part);
}

std::string entry(const std::string& name, const std::string& type, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

TEST(SafetensorsHeader, RefusesWhatIsNoHeader) {
  expect_refused("", "too few");
  expect_refused("1234567", "too few");
  expect_refused(file_of("[]", 0), "does not begin with '{'");
  expect_refused(file_of("{\"a\":", 0), "not valid JSON");
  expect_refused(file_of("{\"a\":[1]}", 0), "where it cannot stand");
  expect_refused(file_of("{\"a\":{\"dtype\":3}}", 0), "where it cannot stand");
  expect_refused(file_of("{\"a\":{\"shape\":[1.5]}}", 0), "where it cannot stand");
  expect_refused(file_of("{\"a\":{\"shape\":[-1]}}", 0), "where it cannot stand");
  expect_refused(file_of("{\"a\":{\"shape\":[[1]]}}", 0), "where it cannot stand");
  expect_refused(file_of("{\"__metadata__\":{\"a\":1}}", 0), "where it cannot stand");
  expect_refused(file_of("{\"a\":{\"kind\":\"F32\"}}", 0), "unknown key");
  expect_refused(file_of("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 0), "no \"data_offsets\"");
}

TEST(SafetensorsHeader, RefusesAbsurdLengthsWithoutAllocating) {
  expect_refused(std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8) + "{}",
                 "exceeds the format's limit");
  expect_refused(std::string("\x00\x00\x00\x01\x00\x00\x00\x00", 8) + "{}", "truncated");
  const std::string shape = "[4294967296,4294967296,4294967296]";
  expect_refused(file_of("{" + entry("a", "F32", shape, "[0,4]") + "}", 4), "absurd shape");
  expect_refused(file_of("{" + entry("a", "F32", "[9223372036854775807]", "[0,4]") + "}", 4),
                 "absurd shape");
  expect_refused(file_of("{" + entry("a", "F32", "[18446744073709551615]", "[0,4]") + "}", 4),
                 "where it cannot stand");
  expect_refused(file_of("{" + entry("a", "U8", "[4]", "[18446744073709551612,0]") + "}", 4),
                 "before it begins");
}

TEST(SafetensorsHeader, RefusesTruncatedOversizedOverlappingAndMisalignedTensors) {
  const std::string a = entry("a", "F32", "[2]", "[0,8]");
  expect_refused(file_of("{" + a + "}", 7), "truncated: tensor \"a\"");
  expect_refused(file_of("{" + a + "}", 9), "1 bytes follow the last tensor");
  expect_refused(file_of("{" + a + "," + entry("b", "F32", "[2]", "[4,12]") + "}", 12),
                 "\"a\" and \"b\" overlap");
  expect_refused(file_of("{" + a + "," + entry("b", "F32", "[2]", "[0,8]") + "}", 8), "overlap");
  expect_refused(file_of("{" + a + "," + entry("b", "F32", "[2]", "[12,20]") + "}", 20),
                 "4 bytes before tensor \"b\" belong to no tensor");
  expect_refused(file_of("{" + entry("a", "U8", "[3]", "[0,3]") + "," +
                             entry("b", "F32", "[1]", "[3,7]") + "}",
                         7),
                 "not aligned");
  expect_refused(file_of("{" + entry("a", "F32", "[3]", "[0,8]") + "}", 8), "needs 12 bytes");
  expect_refused(file_of("{" + entry("a", "F16", "[2]", "[0,8]") + "}", 8), "needs 4 bytes");
}

TEST(SafetensorsHeader, RefusesUnknownTypesAndDuplicateKeys) {
  expect_refused(file_of("{" + entry("a", "Q4", "[2]", "[0,8]") + "}", 8), "unknown type \"Q4\"");
  const std::string a = entry("a", "F32", "[2]", "[0,8]");
  expect_refused(file_of("{" + a + "," + a + "}", 8), "names \"a\" twice");
  expect_refused(
      file_of(R"({"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}})", 8),
      "names \"dtype\" twice in tensor \"a\"");
  expect_refused(file_of("{\"__metadata__\":{},\"__metadata__\":{}}", 0), "twice");
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  expect_refused(file_of(deep, 0), "unknown key");
}

TEST(SafetensorsHeader, TakesEightBitFloatsAndEmptyTensors) {
  const std::string bytes = file_of("{" + entry("a", "F8_E4M3", "[2,2]", "[0,4]") + "," +
                                        entry("b", "F32", "[0,7]", "[4,4]") + "}  ",
                                    4);
  const auto header = parse_safetensors_header(
      {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "m.safetensors");
  ASSERT_EQ(header.entries.size(), 2u);
  EXPECT_EQ(header.entries[0].name, "a");
  EXPECT_EQ(header.entries[1].bytes, 0u);
}

TensorToWrite written(const std::string& name, const at::Tensor& values) {
  return {name, values.sizes().vec(), values.scalar_type(), [values] { return values; }};
}

TEST(Safetensors, EveryTypeReadsBackTheSame) {
  TemporaryFolder folder;
  std::vector<TensorToWrite> tensors;
  const at::ScalarType types[] = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong,
                                  at::kInt,    at::kShort, at::kChar, at::kByte,     at::kBool};
  for (const auto type : types) {
    tensors.push_back(written(toString(type), at::arange(7).to(type)));
  }
  tensors.push_back(written("scalar", at::full({}, 3.5)));
  tensors.push_back(written("none", at::ones({0, 4})));
  write_safetensors(folder / "m.safetensors", tensors);
  const TensorSet set = open_safetensors(folder / "m.safetensors");
  ASSERT_EQ(set.tensors().size(), tensors.size());
  for (const auto& tensor : tensors) {
    const StoredTensor* found = set.find(tensor.name);
    ASSERT_TRUE(found) << tensor.name;
    EXPECT_EQ(found->shape, tensor.shape) << tensor.name;
    EXPECT_TRUE(at::equal(found->load(at::kFloat), tensor.load())) << tensor.name;
    EXPECT_EQ(found->load(at::kFloat).scalar_type(), tensor.type) << tensor.name;
  }
}

TEST(Safetensors, ReadsWhatThePythonLibraryWrote) {
  const TensorSet set = open_safetensors(golden("python.safetensors"));
  for (const auto& [name, type] : {std::pair{"f32", at::kFloat},
                                   {"f16", at::kHalf},
                                   {"bf16", at::kBFloat16},
                                   {"i64", at::kLong}}) {
    const StoredTensor* tensor = set.find(name);
    ASSERT_TRUE(tensor) << name;
    EXPECT_EQ(tensor->shape, (std::vector<std::int64_t>{2, 3}));
    EXPECT_TRUE(at::equal(tensor->load(at::kFloat), at::arange(6).reshape({2, 3}).to(type)))
        << name;
  }
}

TEST(Safetensors, CopiesWhereAnEarlyWriterLeftTheHeaderUnpadded) {
  TemporaryFolder folder;
  std::string bytes = file_of("{" + entry("a", "F32", "[2]", "[0,8]") + "}", 0);
  while (bytes.size() % 4 == 0) {  // spaces may follow the header
    bytes = file_of("{" + entry("a", "F32", "[2]", "[0,8]") + "} ", 0);
  }
  const float values[2] = {1.5f, -2.0f};
  bytes.append(reinterpret_cast<const char*>(values), 8);
  put_file(folder / "m.safetensors", bytes);
  const at::Tensor a = open_safetensors(folder / "m.safetensors").find("a")->load(at::kFloat);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.const_data_ptr()) % 4, 0u);
  EXPECT_EQ(a.const_data_ptr<float>()[1], -2.0f);
}

TEST(SafetensorsFolder, SplitsIntoShardsAndReadsThemBack) {
  TemporaryFolder folder;
  std::vector<TensorToWrite> tensors;
  for (int i = 0; i < 10; ++i) {
    tensors.push_back(written("t" + std::to_string(i), at::full({25}, i).to(at::kFloat)));
  }
  write_safetensors_folder(folder.path(), tensors, 350);
  EXPECT_TRUE(std::filesystem::exists(folder / "model-00004-of-00004.safetensors"));
  const TensorSet set = open_safetensors_folder(folder.path());
  EXPECT_EQ(set.tensors().size(), 10u);
  EXPECT_EQ(set.total_bytes(), 1000u);
  EXPECT_TRUE(at::equal(set.find("t9")->load(at::kFloat), at::full({25}, 9).to(at::kFloat)));
}

TEST(SafetensorsFolder, NamesMissingShardsAndTensors) {
  TemporaryFolder folder;
  std::vector<TensorToWrite> tensors;
  for (int i = 0; i < 3; ++i) tensors.push_back(written("t" + std::to_string(i), at::ones({10})));
  write_safetensors_folder(folder.path(), tensors, 40);
  const auto open = [&] { open_safetensors_folder(folder.path()); };
  std::filesystem::rename(folder / "model-00002-of-00003.safetensors", folder / "elsewhere");
  expect_error(open, "1 of 3 shards are missing: model-00002-of-00003.safetensors");
  std::filesystem::copy(folder / "model-00001-of-00003.safetensors",
                        folder / "model-00002-of-00003.safetensors");
  expect_error(open, "tensor \"t1\" is missing");
  put_file(folder / "model.safetensors.index.json", R"({"weight_map":{"a":"../secret"}})");
  expect_error(open, "no plain file name");
  put_file(folder / "model.safetensors.index.json", R"({"weight_map":{"a":3}})");
  expect_error(open, "must be a string");
  put_file(folder / "model.safetensors.index.json", R"({"weight_map":{"a":"x","a":"y"}})");
  expect_error(open, "twice");
}

TEST(SafetensorsFolder, RefusesPickles) {
  TemporaryFolder folder;
  expect_error([&] { open_safetensors_folder(folder.path()); }, "neither model.safetensors");
  put_file(folder / "pytorch_model.bin", "PK");
  expect_error([&] { open_safetensors_folder(folder.path()); }, "convert it to safetensors first");
}

TEST(Safetensors, AFullDiskLeavesNothingBehind) {
  TemporaryFolder folder;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW(write_safetensors(folder / "m.safetensors", {written("a", at::ones({4096}))}),
               Error);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, AFolderThatMayNotBeWrittenIsOneClearLine) {
  EXPECT_THROW(write_safetensors("/proc/m.safetensors", {written("a", at::ones({4}))}), Error);
  EXPECT_THROW(write_safetensors("/nonexistent/m.safetensors", {written("a", at::ones({4}))}),
               Error);
}

}  // namespace
}  // namespace tigerbot
