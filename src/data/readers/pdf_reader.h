#pragma once

#include <memory>

#include "data/readers/context.h"

namespace tigerbot::data {

/// The text of a PDF, one document: words that a line end cuts are joined again, lines become
/// paragraphs, lines that every page repeats (headers, footers, page numbers) go. `path` is the
/// file to read (of an archive, what was unpacked); encrypted and damaged ones are bad input.
std::unique_ptr<Reader> pdf_reader(ReaderContext context, const std::filesystem::path& path);

/// Pages of a PDF (a form feed behind each) as running text.
std::string pages_to_text(std::string_view pages);

}  // namespace tigerbot::data
