#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "base/text.h"
#include "data/reader.h"
#include "data/readers/byte_source.h"
#include "data/readers/context.h"
#include "data/readers/decompression.h"
#include "data/readers/encoding.h"
#include "data/readers/file_format.h"
#include "data/readers/helper_process.h"
#include "data/readers/html_reader.h"
#include "data/readers/json_lines.h"
#include "data/readers/parquet_reader.h"
#include "data/readers/pdf_reader.h"
#include "data/readers/plain_text.h"
#include "data/readers/warc.h"
#include "data/readers/wikipedia.h"

namespace tigerbot::data {
namespace {

constexpr std::size_t kLookAt = 64 << 10;

class NoDocuments : public Reader {
 public:
  std::optional<Document> next() override { return std::nullopt; }
  std::uint64_t consumed() const override { return 0; }
};

void check_options(const ReaderOptions& options) {
  const std::vector<std::string> formats{"jsonl", "text", "html", "parquet",
                                         "warc",  "wet",  "pdf",  "wikipedia"};
  if (!options.format.empty() &&
      std::find(formats.begin(), formats.end(), options.format) == formats.end())
    fail("there is no input format {}{}; there are {}", quote(options.format),
         did_you_mean(options.format, formats), fmt::join(formats, ", "));
  const std::vector<std::string> units{"file", "paragraph", "line"};
  if (std::find(units.begin(), units.end(), options.text_unit) == units.end())
    fail("there is no text unit {}{}; there are {}", quote(options.text_unit),
         did_you_mean(options.text_unit, units), fmt::join(units, ", "));
  if (options.text_field.empty()) fail("the text field has no name");
  if (options.max_document_bytes == 0) fail("max_document_bytes must be above 0");
  if (options.begin > options.end)
    fail("a range of bytes begins at {} and ends at {}, before that", options.begin, options.end);
}

/// The first bytes of a file, decompressed, and whether they were compressed.
struct Look {
  std::string first_bytes;
  bool compressed = false;
};

Look look_at(const std::filesystem::path& file) {
  Look look;
  const auto source = open_file(file);
  look.first_bytes.resize(kLookAt);
  std::size_t got = 0;
  while (got < kLookAt) {
    const auto more = source->read(look.first_bytes.data() + got, kLookAt - got);
    if (more == 0) break;
    got += more;
  }
  look.first_bytes.resize(got);
  look.compressed = detect_compression(look.first_bytes) != Compression::kNone;
  return look;
}

bool splits_into_lines(const std::string& format, const ReaderOptions& options) {
  return format == "jsonl" || (format == "text" && options.text_unit == "line");
}

/// From options.begin on, which a file of lines can do.
std::unique_ptr<InputBuffer> open_range(const std::filesystem::path& file,
                                        const ReaderOptions& options) {
  if (options.begin == 0) return std::make_unique<InputBuffer>(open_file(file));
  // The row that starts at `begin` is ours, so the line end before it must be seen.
  auto input = std::make_unique<InputBuffer>(open_file(file, options.begin - 1), options.begin - 1);
  (void)next_line(*input, 0);
  return input;
}

std::unique_ptr<Reader> make_reader(const std::string& format, ReaderContext context,
                                    std::unique_ptr<InputBuffer> input) {
  if (format == "jsonl") return json_lines_reader(std::move(context), std::move(input));
  if (format == "html") return html_reader(std::move(context), std::move(input));
  if (format == "warc" || format == "wet") return warc_reader(std::move(context), std::move(input));
  if (format == "wikipedia") return wikipedia_reader(std::move(context), std::move(input));
  return plain_text_reader(std::move(context), std::move(input));
}

/// A reader of what was unpacked into a temporary file, which goes when the reader goes.
class UnpackedReader : public Reader {
 public:
  UnpackedReader(std::unique_ptr<TemporaryFile> file, std::unique_ptr<Reader> reader)
      : file_(std::move(file)), reader_(std::move(reader)) {}

  std::optional<Document> next() override { return reader_->next(); }
  std::uint64_t consumed() const override { return reader_->consumed(); }

 private:
  std::unique_ptr<TemporaryFile> file_;
  std::unique_ptr<Reader> reader_;
};

/// Formats that are read from the end, or here and there.
std::unique_ptr<Reader> open_by_path(const std::string& format, ReaderContext context,
                                     const std::filesystem::path& file) {
  const auto open = [&](const std::filesystem::path& path) {
    return format == "pdf" ? pdf_reader(std::move(context), path)
                           : parquet_reader(std::move(context), path);
  };
  if (!look_at(file).compressed) return open(file);
  const auto bytes = decompress(open_file(file), context.options().max_compression_ratio);
  auto unpacked = std::make_unique<TemporaryFile>(*bytes);
  auto reader = open(unpacked->path());
  return std::make_unique<UnpackedReader>(std::move(unpacked), std::move(reader));
}

std::unique_ptr<Reader> open_or_throw(const std::filesystem::path& file,
                                      const ReaderOptions& options) {
  ReaderContext context(file, options);
  if (options.begin > 0 || options.end != ReaderOptions().end) {
    if (!can_split(file, options))
      fail("{}: only JSON lines and text by lines, UTF-8 and not compressed, are read in ranges",
           file.string());
    const std::string format =
        options.format.empty() ? detect_format(file, look_at(file).first_bytes) : options.format;
    return make_reader(format, std::move(context), open_range(file, options));
  }
  auto bytes =
      std::make_unique<InputBuffer>(decompress(open_file(file), options.max_compression_ratio));
  bytes->fill(kLookAt);
  const auto first = bytes->window().substr(0, kLookAt);
  const std::string format = options.format.empty() ? detect_format(file, first) : options.format;
  if (format == "jsonl" || format == "text") {
    if (const auto wide = wide_encoding(first); !wide.empty())
      bytes = std::make_unique<InputBuffer>(
          transcode(decompress(open_file(file), options.max_compression_ratio), wide));
    else if (looks_binary(first))
      throw DamagedInput("is binary, not text");
    if (bytes->fill(3) && bytes->window().starts_with("\xef\xbb\xbf")) bytes->take(3);
  }
  if (format == "pdf" || format == "parquet") return open_by_path(format, std::move(context), file);
  return make_reader(format, std::move(context), std::move(bytes));
}

}  // namespace

std::unique_ptr<Reader> open_reader(const std::filesystem::path& file,
                                    const ReaderOptions& options) {
  check_options(options);
  try {
    return open_or_throw(file, options);
  } catch (const DamagedInput& error) {
    ReaderContext(file, options).report(0, 0, error.what());
    return std::make_unique<NoDocuments>();
  }
}

bool can_split(const std::filesystem::path& file, const ReaderOptions& options) {
  try {
    const Look look = look_at(file);
    const std::string format =
        options.format.empty() ? detect_format(file, look.first_bytes) : options.format;
    return !look.compressed && splits_into_lines(format, options) &&
           wide_encoding(look.first_bytes).empty() && !looks_binary(look.first_bytes);
  } catch (const DamagedInput&) {
    return false;
  }
}

}  // namespace tigerbot::data
