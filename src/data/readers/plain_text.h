#pragma once

#include <memory>

#include "data/readers/context.h"
#include "data/readers/input_buffer.h"

namespace tigerbot::data {

/// Plain text, cut into documents as options.text_unit says.
std::unique_ptr<Reader> plain_text_reader(ReaderContext context,
                                          std::unique_ptr<InputBuffer> input);

}  // namespace tigerbot::data
