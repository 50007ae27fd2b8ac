#pragma once

#include <memory>
#include <string_view>

#include "data/readers/byte_source.h"

namespace tigerbot::data {

enum class Compression { kNone, kGzip, kZstd, kBzip2 };

/// What the first bytes (at least 10 where the file has as many) say.
Compression detect_compression(std::string_view first_bytes);

/// The decompressed bytes of `source`, which may have several members (gzip), frames (zstd,
/// skippable ones too) or streams (bzip2) behind one another; `source` itself where it is not
/// compressed. Archives that are cut off, damaged, or grow more than `max_ratio` times (looked at
/// once 16 MiB have come out) throw DamagedInput after all bytes before that.
std::unique_ptr<ByteSource> decompress(std::unique_ptr<ByteSource> source, double max_ratio);

}  // namespace tigerbot::data
