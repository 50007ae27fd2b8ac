#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/stage.h"

/// The recipe of a data run: a TOML file that says what goes in, what happens to it and what comes
/// out. Strict: a key that nobody knows is an Error with the nearest right name.
namespace tigerbot::data {

struct RunSettings {
  std::string name;                            ///< for people; default: the recipe's file name
  std::filesystem::path output;                ///< the folder of results
  std::uint64_t seed = 0;                      ///< of sampling and shuffling
  int threads = 0;                             ///< of each rank; 0: one for each core
  std::uint64_t memory_limit = 2ull << 30;     ///< bytes, of each rank
  std::optional<std::uint64_t> bad_row_limit;  ///< more bad rows and files end the run
  std::vector<std::string> earlier;    ///< outputs of earlier runs: what they hold is not repeated
  std::uint64_t unit_bytes = 8 << 20;  ///< input that is worked on, and lost, as a whole
};

struct SourceSettings {
  std::string name;
  std::string kind;  ///< "web", "books", ...: a slice of the pie; "" where the recipe says nothing
  std::vector<std::string> files;  ///< files, folders and globs
  std::string format;              ///< "" tells by name and first bytes
  std::string text_field = "text";
  std::string text_unit = "file";  ///< one document of a plain text: "file", "paragraph", "line"
  std::string language;            ///< said by the recipe; "" leaves it to the stages
  std::string licence;
  bool keep_metadata = true;
  std::uint64_t max_document_bytes = 64 << 20;
  double max_compression_ratio = 200;
};

/// One `[[stage]]`, not yet made: its kind and its table.
struct StageSettings {
  std::string kind;
  Json entry;
  std::string place;  ///< "stage[2]"
};

/// What amounts are measured in.
enum class Measure { kBytes, kTokens, kDocuments };

/// "bytes", "tokens", "documents".
std::string_view measure_name(Measure measure);

struct MixtureSettings {
  Measure by = Measure::kBytes;
  std::string tokenizer;  ///< a file, a folder or a model's name; counts tokens; "" for none
  std::map<std::string, double> shares;   ///< by name of a source or of a kind; sum at most 1
  std::map<std::string, double> weights;  ///< by name of a source or of a kind; 1 by default
  std::optional<std::uint64_t> total;     ///< in `by`; nothing: as much as the shares allow
  double up_sampling_limit = 1;           ///< at most this many copies of a document
  bool nearest = false;  ///< shares that cannot be reached: take the nearest, or (false) an Error
};

struct OutputSettings {
  std::uint64_t shard_bytes = 256 << 20;  ///< of text and provenance, before compression
  double validation = 0;                  ///< share of the documents
  bool compress = true;                   ///< zstd
  int compression_level = 3;
};

using DocumentStages = std::vector<std::unique_ptr<DocumentStage>>;

struct Recipe {
  std::filesystem::path path;
  RunSettings run;
  std::vector<SourceSettings> sources;
  std::vector<StageSettings> document_stages;    ///< in order
  std::vector<StageSettings> global_stages;      ///< exact and near duplicates, in order
  std::shared_ptr<const DocumentStages> stages;  ///< document_stages, ready to work; may be none
  MixtureSettings mixture;
  OutputSettings output;
  Json table;  ///< the recipe as it stands in the file
};

/// Reads and checks a recipe and makes its document stages.
Recipe read_recipe(const std::filesystem::path& path);

/// Kinds of all stages in order: what every document of the output went through.
std::vector<std::string> names_of_stages(const Recipe& recipe);

/// 2147483648, "2 GiB", "500 MB", "1.5e9": a number of bytes; an Error names `place`.
std::uint64_t parse_bytes(const Json& value, const std::string& place);

}  // namespace tigerbot::data
