#pragma once

#include <memory>

#include "data/readers/context.h"
#include "data/readers/input_buffer.h"

namespace tigerbot::data {

/// A Wikipedia XML dump (MediaWiki export format): the articles (namespace 0, no redirects), one
/// document each, their wikitext turned into text; title, id, url and date (of the revision, the
/// last where there are several) in the metadata.
std::unique_ptr<Reader> wikipedia_reader(ReaderContext context, std::unique_ptr<InputBuffer> input);

}  // namespace tigerbot::data
