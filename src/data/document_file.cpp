#include "data/document_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/hash.h"

namespace tigerbot::data {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "TBDOCS1\n";
constexpr std::size_t kBlockSize = 64 << 10;
constexpr std::size_t kIndexEntry = 24, kFooter = 32;
constexpr int kLevel = 1;

template <typename T>
void append_number(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T number_at(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

void append_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
}

void append_string(std::string& bytes, std::string_view text) {
  append_varint(bytes, text.size());
  bytes.append(text);
}

/// Takes values from the front of a record; `ok` turns false where the record is too short.
struct RecordReader {
  std::string_view rest;
  bool ok = true;

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest[0]);
      rest.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    ok = false;
    return 0;
  }
  std::string_view string() {
    const std::uint64_t length = varint();
    if (length > rest.size()) ok = false;
    if (!ok) return {};
    const auto text = rest.substr(0, length);
    rest.remove_prefix(length);
    return text;
  }
  double real() {
    if (rest.size() < sizeof(double)) ok = false;
    if (!ok) return 0;
    const auto value = number_at<double>(rest.data());
    rest.remove_prefix(sizeof(double));
    return value;
  }
};

void append_record(std::string& bytes, const Document& document) {
  const std::size_t start = bytes.size();
  append_number<std::uint32_t>(bytes, 0);
  append_string(bytes, document.text);
  append_string(bytes, document.origin.source);
  append_string(bytes, document.origin.file);
  append_varint(bytes, document.origin.offset);
  append_varint(bytes, document.origin.row);
  append_string(bytes, document.language);
  append_varint(bytes, document.scores.size());
  for (const auto& [name, score] : document.scores) {
    append_string(bytes, name);
    append_number(bytes, score);
  }
  append_varint(bytes, document.edits.size());
  for (const std::string& edit : document.edits) append_string(bytes, edit);
  if (!document.metadata.is_null()) {
    const std::vector<std::uint8_t> packed = Json::to_cbor(document.metadata);
    bytes.append(reinterpret_cast<const char*>(packed.data()), packed.size());
  }
  const std::size_t length = bytes.size() - start - sizeof(std::uint32_t);
  if (length >= 1u << 31) fail("a document of {} bytes is too long", length);
  const auto stored = static_cast<std::uint32_t>(length);
  std::memcpy(bytes.data() + start, &stored, sizeof(stored));
}

std::string_view record_of(const DocumentBlock& block, std::uint64_t index) {
  const char* start = block.bytes.data() + block.starts[index - block.first];
  return {start + sizeof(std::uint32_t), number_at<std::uint32_t>(start)};
}

}  // namespace

struct DocumentFileWriter::Compressor {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  std::string packed;
  Compressor() {
    if (context == nullptr) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, kLevel);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  }
  ~Compressor() { ZSTD_freeCCtx(context); }
};

DocumentFileWriter::DocumentFileWriter(const std::filesystem::path& path)
    : file_(path), compressor_(std::make_unique<Compressor>()) {
  file_.write(kMagic);
}

DocumentFileWriter::~DocumentFileWriter() = default;

void DocumentFileWriter::append(const Document& document) {
  append_record(block_, document);
  ++size_;
  if (block_.size() >= kBlockSize) flush_block();
}

void DocumentFileWriter::flush_block() {
  if (block_.empty()) return;
  std::string& packed = compressor_->packed;
  packed.resize(ZSTD_compressBound(block_.size()));
  const std::size_t length = ZSTD_compress2(compressor_->context, packed.data(), packed.size(),
                                            block_.data(), block_.size());
  if (ZSTD_isError(length) != 0) fail_internal("zstd: {}", ZSTD_getErrorName(length));
  if (block_.size() >= 1ull << 32 || length >= 1ull << 32) fail("a document is too long");
  append_number<std::uint64_t>(index_, file_.size());
  append_number(index_, static_cast<std::uint32_t>(length));
  append_number(index_, static_cast<std::uint32_t>(block_.size()));
  append_number<std::uint64_t>(index_, first_of_block_);
  file_.write(std::string_view(packed).substr(0, length));
  ++blocks_;
  first_of_block_ = size_;
  block_.clear();
}

void DocumentFileWriter::commit() {
  flush_block();
  std::string footer;
  append_number(footer, blocks_);
  append_number(footer, size_);
  append_number(footer, hash128(index_).low);
  footer += kMagic;
  file_.write(index_);
  file_.write(footer);
  file_.commit();
}

std::string_view DocumentBlock::text(std::uint64_t index) const {
  RecordReader reader{record_of(*this, index)};
  return reader.string();
}

void DocumentFile::fail_damaged(std::string_view what) const {
  fail("{}: {}: it was changed or not written to its end; remove it and run again", path_.string(),
       what);
}

DocumentFile::DocumentFile(std::filesystem::path path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail("{}: cannot be read: {}", path_.string(), std::strerror(errno));
  try {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode))
      fail("{}: is not a file", path_.string());
    const auto length = static_cast<std::uint64_t>(status.st_size);
    if (length < kMagic.size() + kFooter) fail_damaged("no document file");
    char footer[kFooter];
    read_at(length - kFooter, footer, kFooter);
    if (std::string_view(footer + 24, 8) != kMagic) fail_damaged("no document file");
    const auto count = number_at<std::uint64_t>(footer);
    size_ = number_at<std::uint64_t>(footer + 8);
    const std::uint64_t room = length - kMagic.size() - kFooter;
    if (count > room / kIndexEntry) fail_damaged("wrong number of blocks");
    std::string index(count * kIndexEntry, '\0');
    const std::uint64_t index_start = length - kFooter - index.size();
    read_at(index_start, index.data(), index.size());
    if (hash128(index).low != number_at<std::uint64_t>(footer + 16)) fail_damaged("wrong index");
    blocks_.reserve(count);
    for (std::size_t at = 0; at < index.size(); at += kIndexEntry) {
      const char* entry = index.data() + at;
      blocks_.push_back({number_at<std::uint64_t>(entry), number_at<std::uint64_t>(entry + 16),
                         number_at<std::uint32_t>(entry + 8),
                         number_at<std::uint32_t>(entry + 12)});
      const BlockEntry& block = blocks_.back();
      const bool in_order =
          block.first < size_ &&
          (blocks_.size() == 1 ? block.first == 0 : block.first > blocks_.end()[-2].first);
      if (!in_order || block.offset > index_start || block.packed > index_start - block.offset)
        fail_damaged("wrong index");
    }
    if (blocks_.empty() != (size_ == 0)) fail_damaged("wrong index");
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

DocumentFile::~DocumentFile() { ::close(descriptor_); }

void DocumentFile::read_at(std::uint64_t offset, char* to, std::size_t length) const {
  while (length > 0) {
    const ssize_t got = ::pread(descriptor_, to, length, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("{}: cannot be read: {}", path_.string(), std::strerror(errno));
    if (got == 0) fail_damaged("truncated");
    to += got;
    offset += static_cast<std::uint64_t>(got);
    length -= static_cast<std::size_t>(got);
  }
}

std::size_t DocumentFile::block_of(std::uint64_t index) const {
  if (index >= size_)
    fail_internal("{}: there is no document {}, only {}", path_.string(), index, size_);
  const auto after = std::upper_bound(
      blocks_.begin(), blocks_.end(), index,
      [](std::uint64_t number, const BlockEntry& block) { return number < block.first; });
  return static_cast<std::size_t>(after - blocks_.begin()) - 1;
}

DocumentBlock DocumentFile::load_block(std::size_t number) const {
  const BlockEntry& entry = blocks_.at(number);
  const std::uint64_t end = number + 1 < blocks_.size() ? blocks_[number + 1].first : size_;
  std::string packed(entry.packed, '\0');
  read_at(entry.offset, packed.data(), packed.size());
  struct Decompressor {
    ZSTD_DCtx* context = ZSTD_createDCtx();
    ~Decompressor() { ZSTD_freeDCtx(context); }
  };
  static thread_local Decompressor decompressor;
  DocumentBlock block;
  block.first = entry.first;
  // The frame's own word for its size, so that a damaged index cannot ask for gigabytes.
  if (ZSTD_getFrameContentSize(packed.data(), packed.size()) != entry.raw)
    fail_damaged("wrong block");
  block.bytes.resize(entry.raw);
  const std::size_t got = ZSTD_decompressDCtx(decompressor.context, block.bytes.data(),
                                              block.bytes.size(), packed.data(), packed.size());
  if (ZSTD_isError(got) != 0 || got != entry.raw) fail_damaged("wrong block");
  std::size_t at = 0;
  while (at < block.bytes.size() && block.starts.size() < end - block.first) {
    if (block.bytes.size() - at < sizeof(std::uint32_t)) fail_damaged("wrong block");
    block.starts.push_back(static_cast<std::uint32_t>(at));
    const auto length = number_at<std::uint32_t>(block.bytes.data() + at);
    if (length > block.bytes.size() - at - sizeof(std::uint32_t)) fail_damaged("wrong block");
    at += sizeof(std::uint32_t) + length;
  }
  if (at != block.bytes.size() || block.starts.size() != end - block.first)
    fail_damaged("wrong block");
  return block;
}

std::shared_ptr<const DocumentBlock> DocumentFile::block(std::size_t number) const {
  {
    const std::lock_guard lock(mutex_);
    if (last_ && last_number_ == number) return last_;
  }
  auto loaded = std::make_shared<const DocumentBlock>(load_block(number));
  const std::lock_guard lock(mutex_);
  last_ = loaded;
  last_number_ = number;
  return loaded;
}

Document DocumentFile::decode(const DocumentBlock& block, std::uint64_t index) const {
  RecordReader reader{record_of(block, index)};
  Document document;
  document.text = reader.string();
  document.origin.source = reader.string();
  document.origin.file = reader.string();
  document.origin.offset = reader.varint();
  document.origin.row = reader.varint();
  document.language = reader.string();
  for (std::uint64_t left = reader.varint(); left > 0 && reader.ok; --left) {
    std::string name(reader.string());
    const double score = reader.real();
    document.scores.insert_or_assign(std::move(name), score);
  }
  for (std::uint64_t left = reader.varint(); left > 0 && reader.ok; --left)
    document.edits.emplace_back(reader.string());
  if (!reader.ok) fail_damaged(fmt::format("document {} cannot be read", index));
  if (!reader.rest.empty()) {
    document.metadata = Json::from_cbor(reader.rest.begin(), reader.rest.end(), true, false);
    if (document.metadata.is_discarded())
      fail_damaged(fmt::format("document {} cannot be read", index));
  }
  return document;
}

Document DocumentFile::read(std::uint64_t index) const {
  return decode(*block(block_of(index)), index);
}

std::optional<Document> DocumentFile::next() {
  if (position_ == size_) return std::nullopt;
  return read(position_++);
}

}  // namespace tigerbot::data
