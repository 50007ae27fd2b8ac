#include <unicode/ucnv.h>

#include <array>
#include <utility>

#include "base/utf8.h"
#include "data/readers/encoding.h"

namespace tigerbot::data {
namespace {

class TranscodedSource : public ByteSource {
 public:
  TranscodedSource(std::unique_ptr<ByteSource> source, const std::string& encoding)
      : source_(std::move(source)) {
    UErrorCode status = U_ZERO_ERROR;
    from_.reset(ucnv_open(encoding.c_str(), &status));
    to_.reset(ucnv_open("UTF-8", &status));
    if (U_FAILURE(status)) fail_internal("ICU has no converter for {}", encoding);
  }

  std::size_t read(char* to, std::size_t size) override {
    char* out = to;
    while (out == to && !finished_) {
      if (at_ == end_ && !source_ended_) {
        end_ = source_->read(bytes_.data(), bytes_.size());
        at_ = 0;
        source_ended_ = end_ == 0;
      }
      const char* in = bytes_.data() + at_;
      UErrorCode status = U_ZERO_ERROR;
      ucnv_convertEx(to_.get(), from_.get(), &out, to + size, &in, bytes_.data() + end_,
                     units_.data(), &units_begin_, &units_end_, units_.data() + units_.size(),
                     !started_, source_ended_, &status);
      started_ = true;
      at_ = static_cast<std::size_t>(in - bytes_.data());
      if (status == U_BUFFER_OVERFLOW_ERROR) continue;
      if (U_FAILURE(status)) throw DamagedInput("the text cannot be converted to UTF-8");
      finished_ = source_ended_ && at_ == end_;
    }
    return static_cast<std::size_t>(out - to);
  }

  std::uint64_t consumed() const override { return source_->consumed(); }

 private:
  struct Close {
    void operator()(UConverter* converter) const { ucnv_close(converter); }
  };

  std::unique_ptr<ByteSource> source_;
  std::unique_ptr<UConverter, Close> from_, to_;
  std::array<char, 64 << 10> bytes_{};
  std::size_t at_ = 0, end_ = 0;
  std::array<UChar, 4096> units_{};
  UChar* units_begin_ = units_.data();
  UChar* units_end_ = units_.data();
  bool started_ = false, source_ended_ = false, finished_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> transcode(std::unique_ptr<ByteSource> source,
                                      const std::string& encoding) {
  return std::make_unique<TranscodedSource>(std::move(source), encoding);
}

}  // namespace tigerbot::data
