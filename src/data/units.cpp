#include "data/units.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "base/version.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

/// Changes with the form of what a unit leaves behind.
constexpr int kFormat = 1;

Piece whole_file(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0)
    fail("{}: cannot be read: {}", file.string(), std::strerror(errno));
  Piece piece;
  piece.file = file;
  piece.size = static_cast<std::uint64_t>(status.st_size);
  piece.modified = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
  return piece;
}

std::string stamp(const Piece& piece) {
  return fmt::format("{} {} {}\n", piece.file.string(), piece.size, piece.modified);
}

bool is_glob(const std::string& text) { return text.find_first_of("*?[{") != std::string::npos; }

void add_stamps(const Json& value, const fs::path& folder, std::string& stamps) {
  if (value.is_structured()) {
    for (const Json& item : value) add_stamps(item, folder, stamps);
    return;
  }
  if (!value.is_string()) return;
  const std::string text = value.get<std::string>();
  std::error_code ignored;
  if (text.empty() || text.size() > 4096 || text.find('\0') != std::string::npos) return;
  if (!is_glob(text) && !fs::exists(folder / text, ignored)) return;
  try {
    for (const fs::path& file : find_inputs({text}, folder)) stamps += stamp(whole_file(file));
  } catch (const Error&) {
    // Not a path after all; the stage says so if it should have been one.
  }
}

Json settings_of(const SourceSettings& source) {
  return {{"name", source.name},
          {"format", source.format},
          {"text_field", source.text_field},
          {"text_unit", source.text_unit},
          {"language", source.language},
          {"keep_metadata", source.keep_metadata},
          {"max_document_bytes", source.max_document_bytes},
          {"max_compression_ratio", source.max_compression_ratio}};
}

std::string settings_of_stages(const Recipe& recipe) {
  const fs::path folder = fs::absolute(recipe.path).parent_path();
  std::string text = fmt::format("{} {} {}\n", kFormat, version(), git_commit());
  for (const StageSettings& stage : recipe.document_stages)
    text += stage.entry.dump() + "\n" + stamp_of_files(stage.entry, folder);
  return text;
}

}  // namespace

std::uint64_t Unit::bytes() const {
  std::uint64_t sum = 0;
  for (const Piece& piece : pieces) sum += piece.bytes();
  return sum;
}

ReaderOptions reader_options(const SourceSettings& source, const Piece& piece) {
  ReaderOptions options;
  options.format = source.format;
  options.text_field = source.text_field;
  options.text_unit = source.text_unit;
  options.source = source.name;
  options.keep_metadata = source.keep_metadata;
  options.max_document_bytes = source.max_document_bytes;
  options.max_compression_ratio = source.max_compression_ratio;
  options.begin = piece.begin;
  options.end = piece.end;
  return options;
}

std::string stamp_of_files(const Json& entry, const fs::path& folder) {
  std::string stamps;
  add_stamps(entry, folder, stamps);
  return stamps;
}

std::vector<Unit> plan_units(const Recipe& recipe) {
  const fs::path folder = fs::absolute(recipe.path).parent_path();
  std::vector<Unit> units;
  for (std::size_t s = 0; s < recipe.sources.size(); ++s) {
    const SourceSettings& source = recipe.sources[s];
    Unit open;
    open.source = s;
    const auto close = [&] {
      if (!open.pieces.empty()) units.push_back(open);
      open.pieces.clear();
    };
    std::uint64_t gathered = 0;
    for (const fs::path& file : find_inputs(source.files, folder)) {
      const Piece whole = whole_file(file);
      if (whole.size > recipe.run.unit_bytes && can_split(file, reader_options(source, whole))) {
        close();
        gathered = 0;
        // Equal parts, none longer than a unit.
        const std::uint64_t parts = (whole.size - 1) / recipe.run.unit_bytes + 1;
        for (std::uint64_t k = 0; k < parts; ++k) {
          Piece part = whole;
          part.begin = whole.size / parts * k;
          part.end = k + 1 == parts ? whole.size : whole.size / parts * (k + 1);
          open.pieces = {part};
          close();
        }
        continue;
      }
      if (gathered + whole.size > recipe.run.unit_bytes) {
        close();
        gathered = 0;
      }
      open.pieces.push_back(whole);
      gathered += whole.size;
    }
    close();
    if (units.empty() || units.back().source != s)
      fail("{}: source {} has no files; look at its files = [...]", recipe.path.string(),
           quote(source.name));
  }
  const std::string stages = settings_of_stages(recipe);
  for (Unit& unit : units) {
    std::string text = stages + settings_of(recipe.sources[unit.source]).dump() + "\n";
    for (const Piece& piece : unit.pieces)
      text += fmt::format("{} {} {}", piece.begin, piece.end, stamp(piece));
    unit.key = hash128(text);
  }
  return units;
}

}  // namespace tigerbot::data
