#include "data/pipeline/shard_writer.h"

#include <zstd.h>

#include <new>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"

namespace tigerbot::data {

struct ShardWriter::State {
  State(const std::filesystem::path& path, const OutputSettings& settings)
      : file(path), digest(Digest::Kind::kSha256) {
    if (!settings.compress) return;
    context = ZSTD_createCCtx();
    if (context == nullptr) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, settings.compression_level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    packed.resize(ZSTD_CStreamOutSize());
  }
  ~State() { ZSTD_freeCCtx(context); }

  void put(std::string_view bytes) {
    digest.update(bytes);
    file.write(bytes);
  }

  void compress(std::string_view bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    for (;;) {
      ZSTD_outBuffer output{packed.data(), packed.size(), 0};
      const std::size_t left = ZSTD_compressStream2(context, &output, &input, directive);
      if (ZSTD_isError(left) != 0) fail_internal("zstd: {}", ZSTD_getErrorName(left));
      put(std::string_view(packed).substr(0, output.pos));
      if (directive == ZSTD_e_end ? left == 0 : input.pos == input.size) return;
    }
  }

  AtomicFile file;
  Digest digest;
  ZSTD_CCtx* context = nullptr;
  std::string packed;
  std::uint64_t raw = 0;
};

ShardWriter::ShardWriter(const std::filesystem::path& path, const OutputSettings& settings)
    : state_(std::make_unique<State>(path, settings)) {}

ShardWriter::~ShardWriter() = default;

void ShardWriter::write(std::string_view lines) {
  state_->raw += lines.size();
  if (state_->context != nullptr)
    state_->compress(lines, ZSTD_e_continue);
  else
    state_->put(lines);
}

ShardSummary ShardWriter::finish() {
  if (state_->context != nullptr) state_->compress({}, ZSTD_e_end);
  ShardSummary summary;
  summary.raw_bytes = state_->raw;
  summary.file_bytes = state_->file.size();
  summary.sha256 = state_->digest.finish_hex();
  return summary;
}

void ShardWriter::commit() { state_->file.commit(); }

}  // namespace tigerbot::data
