#include "data/readers/reading.h"

#include <bzlib.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/files.h"

namespace tigerbot::data::testing {

namespace fs = std::filesystem;

std::vector<std::string> Reading::texts() const {
  std::vector<std::string> out;
  for (const auto& document : documents) out.push_back(document.text);
  return out;
}

fs::path write_input(const std::string& name, std::string_view bytes) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const fs::path folder = fs::path(::testing::TempDir()) / std::to_string(::getpid()) /
                          test->test_suite_name() / test->name();
  create_folders((folder / name).parent_path());
  write_file(folder / name, bytes);
  return folder / name;
}

Reading read_documents(const fs::path& file, ReaderOptions options) {
  Reading reading;
  options.on_bad_input = [&](const BadInput& bad) { reading.bad.push_back(bad); };
  const auto reader = open_reader(file, options);
  while (auto document = reader->next()) reading.documents.push_back(std::move(*document));
  EXPECT_FALSE(reader->next()) << "the end is the end";
  return reading;
}

Reading read_bytes(const std::string& name, std::string_view bytes, ReaderOptions options) {
  return read_documents(write_input(name, bytes), std::move(options));
}

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

std::string bzip2(std::string_view bytes) {
  std::string out(bytes.size() + bytes.size() / 100 + 600, '\0');
  auto size = static_cast<unsigned>(out.size());
  EXPECT_EQ(BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(bytes.data()),
                                     static_cast<unsigned>(bytes.size()), 9, 0, 0),
            BZ_OK);
  out.resize(size);
  return out;
}

}  // namespace tigerbot::data::testing
