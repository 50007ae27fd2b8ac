#include "data/readers/decompression.h"

#include <bzlib.h>
#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace tigerbot::data {
namespace {

constexpr std::size_t kInputSize = 256 << 10;
constexpr std::uint64_t kBombFloor = 16 << 20;

/// The compressed side of a decoder: a buffer that is filled from the source.
class CompressedInput {
 public:
  explicit CompressedInput(std::unique_ptr<ByteSource> source)
      : source_(std::move(source)), buffer_(kInputSize) {}

  /// At least one byte, unless the source is at its end.
  std::string_view window() {
    if (at_ == size_) {
      at_ = 0;
      size_ = source_->read(buffer_.data(), buffer_.size());
    }
    return {buffer_.data() + at_, size_ - at_};
  }
  /// At least `wanted` bytes (few), unless the source ends before.
  std::string_view window(std::size_t wanted) {
    if (size_ - at_ < wanted) {
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(at_),
                buffer_.begin() + static_cast<std::ptrdiff_t>(size_), buffer_.begin());
      size_ -= at_;
      at_ = 0;
      while (size_ < wanted) {
        const auto got = source_->read(buffer_.data() + size_, buffer_.size() - size_);
        if (got == 0) break;
        size_ += got;
      }
    }
    return {buffer_.data() + at_, size_ - at_};
  }
  void take(std::size_t bytes) {
    at_ += bytes;
    taken_ += bytes;
  }
  std::uint64_t taken() const { return taken_; }

 private:
  std::unique_ptr<ByteSource> source_;
  std::vector<char> buffer_;
  std::size_t at_ = 0, size_ = 0;
  std::uint64_t taken_ = 0;
};

/// What the three formats share: members behind one another, the ratio, the end.
class Decoder : public ByteSource {
 public:
  Decoder(CompressedInput input, double max_ratio)
      : input_(std::move(input)), max_ratio_(max_ratio) {}

  std::size_t read(char* to, std::size_t size) override {
    if (size == 0) return 0;
    while (true) {
      if (!inside_member_ && !begin_member()) return 0;
      inside_member_ = true;
      const std::string_view in = input_.window();
      const Step step = decode(in, to, size);
      input_.take(step.taken);
      produced_ += step.given;
      if (step.member_ends) inside_member_ = false;
      check_ratio();
      if (step.given > 0) return step.given;
      if (in.empty() && inside_member_)
        throw DamagedInput(
            fmt::format("the {} data is cut off after {} bytes", name(), input_.taken()));
    }
  }
  std::uint64_t consumed() const override { return input_.taken(); }

 protected:
  struct Step {
    std::size_t taken = 0, given = 0;
    bool member_ends = false;
  };
  virtual std::string_view name() const = 0;
  /// First bytes of a member; "" if they cannot be told so easily.
  virtual bool begins_member(std::string_view first_bytes) const = 0;
  virtual void reset() = 0;
  /// Decodes a part of `in`, empty at the end of the file.
  virtual Step decode(std::string_view in, char* to, std::size_t size) = 0;

  [[noreturn]] void fail_damaged(std::string_view why) const {
    throw DamagedInput(fmt::format("the {} data is damaged near byte {} of the file: {}", name(),
                                   input_.taken(), why));
  }

 private:
  /// False at the end of the file. Zeros behind the last member are padding, as gzip has it.
  bool begin_member() {
    const auto first = input_.window(4);
    if (first.empty()) return false;
    if (begins_member(first)) {
      reset();
      return true;
    }
    if (produced_ == 0 && input_.taken() == 0) fail_damaged("it does not begin as it should");
    while (true) {
      const auto rest = input_.window();
      if (rest.empty()) return false;
      if (rest.find_first_not_of('\0') != std::string_view::npos)
        fail_damaged("something else follows it");
      input_.take(rest.size());
    }
  }

  void check_ratio() const {
    if (produced_ <= kBombFloor) return;
    if (static_cast<double>(produced_) > max_ratio_ * static_cast<double>(input_.taken()))
      throw DamagedInput(
          fmt::format("{} bytes of {} data gave more than {} times as much, as bombs do; if it is "
                      "good, raise max_compression_ratio",
                      input_.taken(), name(), max_ratio_));
  }

  CompressedInput input_;
  double max_ratio_;
  bool inside_member_ = false;
  std::uint64_t produced_ = 0;
};

template <typename Size>
Size clamp_to(std::size_t size) {
  return static_cast<Size>(std::min<std::size_t>(size, std::numeric_limits<Size>::max()));
}

class GzipDecoder : public Decoder {
 public:
  using Decoder::Decoder;
  ~GzipDecoder() override {
    if (started_) inflateEnd(&stream_);
  }

 private:
  std::string_view name() const override { return "gzip"; }
  bool begins_member(std::string_view first) const override {
    return first.starts_with("\x1f\x8b");
  }
  void reset() override {
    constexpr int kGzipWindow = 15 + 16;
    const int status = started_ ? inflateReset(&stream_) : inflateInit2(&stream_, kGzipWindow);
    if (status != Z_OK) fail_internal("zlib cannot start: out of memory");
    started_ = true;
  }
  Step decode(std::string_view in, char* to, std::size_t size) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = clamp_to<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = clamp_to<uInt>(size);
    const uInt in_before = stream_.avail_in, out_before = stream_.avail_out;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    const Step step{in_before - stream_.avail_in, out_before - stream_.avail_out,
                    status == Z_STREAM_END};
    // Bytes that came out before the damage are handed over first; the next call fails again.
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR && step.given == 0)
      fail_damaged(stream_.msg != nullptr ? stream_.msg : zError(status));
    return step;
  }

  z_stream stream_{};
  bool started_ = false;
};

class Bzip2Decoder : public Decoder {
 public:
  using Decoder::Decoder;
  ~Bzip2Decoder() override {
    if (started_) BZ2_bzDecompressEnd(&stream_);
  }

 private:
  std::string_view name() const override { return "bzip2"; }
  bool begins_member(std::string_view first) const override { return first.starts_with("BZh"); }
  void reset() override {
    if (started_) BZ2_bzDecompressEnd(&stream_);
    stream_ = {};
    if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK)
      fail_internal("bzip2 cannot start: out of memory");
    started_ = true;
  }
  Step decode(std::string_view in, char* to, std::size_t size) override {
    stream_.next_in = const_cast<char*>(in.data());
    stream_.avail_in = clamp_to<unsigned>(in.size());
    stream_.next_out = to;
    stream_.avail_out = clamp_to<unsigned>(size);
    const unsigned in_before = stream_.avail_in, out_before = stream_.avail_out;
    const int status = BZ2_bzDecompress(&stream_);
    const Step step{in_before - stream_.avail_in, out_before - stream_.avail_out,
                    status == BZ_STREAM_END};
    if (status != BZ_OK && status != BZ_STREAM_END && step.given == 0)
      fail_damaged(status == BZ_MEM_ERROR ? "out of memory" : "a block does not decode");
    return step;
  }

  bz_stream stream_{};
  bool started_ = false;
};

class ZstdDecoder : public Decoder {
 public:
  ZstdDecoder(CompressedInput input, double max_ratio)
      : Decoder(std::move(input), max_ratio), context_(ZSTD_createDCtx()) {
    if (!context_) fail_internal("zstd cannot start: out of memory");
  }

 private:
  std::string_view name() const override { return "zstd"; }
  bool begins_member(std::string_view first) const override {
    return detect_compression(first) == Compression::kZstd;
  }
  void reset() override {
    ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only);
    wanted_ = ZSTD_DStreamInSize();
  }
  Step decode(std::string_view in, char* to, std::size_t size) override {
    // One block a call: a block that fails then takes no good one with it.
    ZSTD_inBuffer input{in.data(), std::min(in.size(), wanted_), 0};
    ZSTD_outBuffer output{to, size, 0};
    const auto status = ZSTD_decompressStream(context_.get(), &output, &input);
    if (ZSTD_isError(status) != 0)
      fail_damaged(ZSTD_getErrorCode(status) == ZSTD_error_frameParameter_windowTooLarge
                       ? "its window is larger than 128 MiB; compress it without --long"
                       : ZSTD_getErrorName(status));
    wanted_ = std::max<std::size_t>(status, 1);
    return {input.pos, output.pos, status == 0};
  }

  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  std::size_t wanted_ = 0;  // bytes of input that zstd asks for
};

/// Gives back the bytes that were looked at before the rest of the source.
class PrefixedSource : public ByteSource {
 public:
  PrefixedSource(std::string prefix, std::unique_ptr<ByteSource> rest)
      : prefix_(std::move(prefix)), rest_(std::move(rest)) {}

  std::size_t read(char* to, std::size_t size) override {
    if (at_ == prefix_.size()) return rest_->read(to, size);
    const auto part = std::string_view(prefix_).substr(at_, size);
    std::copy(part.begin(), part.end(), to);
    at_ += part.size();
    return part.size();
  }
  std::uint64_t consumed() const override { return rest_->consumed(); }

 private:
  std::string prefix_;
  std::size_t at_ = 0;
  std::unique_ptr<ByteSource> rest_;
};

}  // namespace

Compression detect_compression(std::string_view first) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(first[at]); };
  // Deflate is the only method that gzip has.
  if (first.size() >= 3 && first.starts_with("\x1f\x8b") && byte(2) == 8) return Compression::kGzip;
  if (first.size() >= 4 && first.substr(1, 3) == "\xb5\x2f\xfd" && byte(0) == 0x28)
    return Compression::kZstd;
  if (first.size() >= 4 && first.substr(1, 3) == "\x2a\x4d\x18" && (byte(0) & 0xf0) == 0x50)
    return Compression::kZstd;  // a skippable frame comes first
  if (first.size() >= 4 && first.starts_with("BZh") && first[3] >= '1' && first[3] <= '9') {
    // The magic of a block, or of the end of an empty stream.
    const auto block = first.substr(4, 6);
    if (block.empty() || std::string_view("\x31\x41\x59\x26\x53\x59").starts_with(block) ||
        std::string_view("\x17\x72\x45\x38\x50\x90").starts_with(block))
      return Compression::kBzip2;
  }
  return Compression::kNone;
}

std::unique_ptr<ByteSource> decompress(std::unique_ptr<ByteSource> source, double max_ratio) {
  constexpr std::size_t kLook = 10;
  std::string first(kLook, '\0');
  std::size_t got = 0;
  while (got < kLook) {
    const auto more = source->read(first.data() + got, kLook - got);
    if (more == 0) break;
    got += more;
  }
  first.resize(got);
  const Compression compression = detect_compression(first);
  auto whole = std::make_unique<PrefixedSource>(std::move(first), std::move(source));
  switch (compression) {
    case Compression::kNone:
      return whole;
    case Compression::kGzip:
      return std::make_unique<GzipDecoder>(CompressedInput(std::move(whole)), max_ratio);
    case Compression::kZstd:
      return std::make_unique<ZstdDecoder>(CompressedInput(std::move(whole)), max_ratio);
    case Compression::kBzip2:
      return std::make_unique<Bzip2Decoder>(CompressedInput(std::move(whole)), max_ratio);
  }
  return whole;
}

}  // namespace tigerbot::data
