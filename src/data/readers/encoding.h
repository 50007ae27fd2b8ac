#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/readers/byte_source.h"

namespace tigerbot::data {

/// Text in UTF-8, and how it got there.
struct Converted {
  std::string text;
  std::string encoding;   ///< what it was: "UTF-8", "GB18030", "Shift_JIS"
  bool replaced = false;  ///< some bytes had no meaning and became U+FFFD
};

/// `bytes` as UTF-8, whatever they were. Where they are not valid UTF-8, `declared` (a name from
/// a header or meta tag, may be empty) is taken if the bytes are valid in it, else the likeliest
/// of UTF-16, UTF-32, GB18030, Big5, Shift_JIS, EUC-JP, EUC-KR, ISO-2022-JP and ICU's single-byte
/// encodings. Nothing if they are no text at all (binary).
std::optional<Converted> convert_to_utf8(std::string_view bytes, std::string_view declared = "");

/// "UTF-16", "UTF-16LE", "UTF-16BE" or "UTF-32" by the byte order mark or by where the NULs of
/// ASCII characters stand; "" for everything else.
std::string wide_encoding(std::string_view first_bytes);

/// The likeliest encoding of bytes that are not valid UTF-8; "" if none fits. Short input (below
/// some 20 bytes outside ASCII) is often ambiguous.
std::string guess_encoding(std::string_view bytes);

/// Bytes in a named encoding as UTF-8; nothing if ICU does not know the name. Bytes without
/// meaning become U+FFFD and are counted in `Converted::replaced`.
std::optional<Converted> decode_as(std::string_view bytes, std::string_view encoding);

/// True for bytes that are no text in any encoding: NULs or control characters everywhere, or the
/// magic number of an image, archive, program or other binary format at the beginning.
bool looks_binary(std::string_view bytes);

/// The bytes of a source that are in `encoding`, as UTF-8, for readers that work line by line.
std::unique_ptr<ByteSource> transcode(std::unique_ptr<ByteSource> source,
                                      const std::string& encoding);

}  // namespace tigerbot::data
