#pragma once

#include <memory>

#include "data/readers/context.h"
#include "data/readers/input_buffer.h"

namespace tigerbot::data {

/// One JSON object a line; its field options.text_field is the text, the others are metadata.
std::unique_ptr<Reader> json_lines_reader(ReaderContext context,
                                          std::unique_ptr<InputBuffer> input);

}  // namespace tigerbot::data
