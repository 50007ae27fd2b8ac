#include "data/readers/parquet_reader.h"

#include "data/readers/helper_process.h"
#include "data/readers/json_lines.h"

namespace tigerbot::data {
namespace {

/// Rows of JSON that are not quite what the file on the disk has: progress is told as a share of
/// it.
class ParquetReader : public Reader {
 public:
  ParquetReader(std::unique_ptr<Reader> rows, std::uint64_t file_size)
      : rows_(std::move(rows)), file_size_(file_size) {}

  std::optional<Document> next() override {
    auto document = rows_->next();
    if (!document) ended_ = true;
    return document;
  }

  std::uint64_t consumed() const override {
    // Columns are smaller on the disk than as JSON; what is read cannot be told exactly.
    return ended_ ? file_size_ : std::min(file_size_, rows_->consumed() / 3);
  }

 private:
  std::unique_ptr<Reader> rows_;
  std::uint64_t file_size_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Reader> parquet_reader(ReaderContext context, const std::filesystem::path& path) {
  const ReaderOptions& options = context.options();
  std::vector<std::string> arguments{path.string()};
  if (!options.keep_metadata)
    arguments.push_back(options.text_field.substr(0, options.text_field.find('.')));
  const HelperLimits limits{.cpu_seconds = 24 * 3600, .memory_bytes = 8ull << 30};
  auto output = run_helper(
      "tigerbot-read-parquet", arguments, limits,
      context.file() +
          ": this TigerBot was built without Arrow, which reads Parquet; run scripts/setup.sh, "
          "configure and build again");
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  auto rows =
      json_lines_reader(std::move(context), std::make_unique<InputBuffer>(std::move(output)));
  return std::make_unique<ParquetReader>(std::move(rows), error ? 0 : size);
}

}  // namespace tigerbot::data
