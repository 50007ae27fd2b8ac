#pragma once

#include <memory>

#include "data/readers/context.h"
#include "data/readers/input_buffer.h"

namespace tigerbot::data {

/// WARC and WET (ISO 28500): the pages of "response" records (text/html and text/plain, status 2xx,
/// chunked and compressed bodies undone) and the texts of "conversion" records, one document each,
/// with url and date in the metadata. Other records are passed over.
std::unique_ptr<Reader> warc_reader(ReaderContext context, std::unique_ptr<InputBuffer> input);

}  // namespace tigerbot::data
