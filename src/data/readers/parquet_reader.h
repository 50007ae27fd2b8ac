#pragma once

#include <memory>

#include "data/readers/context.h"

namespace tigerbot::data {

/// The rows of a Parquet file: options.text_field is the text, the other columns are metadata.
/// `path` is the file to read (of an archive, what was unpacked). An Error if this TigerBot was
/// built without Arrow.
std::unique_ptr<Reader> parquet_reader(ReaderContext context, const std::filesystem::path& path);

}  // namespace tigerbot::data
