#include "data/shards/tokenize.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/files.h"
#include "base/logging.h"
#include "base/memory_map.h"
#include "base/progress.h"
#include "base/text.h"
#include "data/reader.h"
#include "data/shards/part_file.h"
#include "data/shards/shard_writer.h"
#include "data/shards/tokenize_parts.h"
#include "data/tasks.h"

namespace tigerbot::data {
namespace {

/// Text that is encoded at a time.
constexpr std::size_t kBatchBytes = 4 << 20;
/// More names than this are no names of sources.
constexpr std::size_t kMaxSources = 1000;

std::filesystem::path part_path(const std::filesystem::path& folder, std::size_t part) {
  return folder / fmt::format("{:08}.part", part);
}

/// A field of the row if it is there and a string.
std::string field_of(const Document& document, const std::string& name) {
  if (!document.metadata.is_object()) return "";
  const auto at = document.metadata.find(name);
  return at != document.metadata.end() && at->is_string() ? at->get<std::string>() : "";
}

/// "zh-news" of "out/zh-news.jsonl.zst".
std::string stem_of(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  return name.substr(0, std::max<std::size_t>(name.find('.'), 1));
}

/// Turns the documents of one part into ids.
class PartTokenizer {
 public:
  PartTokenizer(const Tokenizer& tokenizer, const TokenizeOptions& options, int threads,
                Progress* progress)
      : tokenizer_(tokenizer),
        options_(options),
        threads_(threads),
        progress_(progress),
        type_(shard_type_for(tokenizer.size())) {}

  TokenizedPart run(const std::vector<InputPiece>& pieces) {
    for (const InputPiece& piece : pieces) read(piece);
    flush();
    return std::move(part_);
  }

 private:
  void read(const InputPiece& piece) {
    ReaderOptions reader_options;
    reader_options.format = options_.format;
    reader_options.text_field = options_.text_field;
    reader_options.text_unit = options_.text_unit;
    reader_options.source = stem_of(piece.file);
    reader_options.begin = piece.begin;
    reader_options.end = piece.end;
    if (options_.skip_bad_rows)
      reader_options.on_bad_input = [this](const BadInput& bad) {
        if (++part_.bad_rows <= 3)
          log_warning("{}: row {} (byte {}): {}", bad.file, bad.row, bad.offset, bad.what);
      };
    const auto reader = open_reader(piece.file, reader_options);
    std::uint64_t seen = 0;
    const auto advance = [&](std::uint64_t to) {
      if (progress_ != nullptr) progress_->advance(to - seen);
      seen = to;
    };
    while (auto document = reader->next()) {
      bytes_ += document->text.size();
      documents_.push_back(std::move(*document));
      if (bytes_ < kBatchBytes) continue;
      flush();
      // A reader looks a little past the end of its piece.
      advance(std::min(reader->consumed(), piece.bytes));
    }
    advance(piece.bytes);
  }

  void flush() {
    std::vector<std::string_view> texts;
    for (const Document& document : documents_) texts.push_back(document.text);
    const EncodedBatch batch = tokenizer_.encode_batch(
        texts, {.add_special_tokens = false, .parse_special_tokens = options_.parse_special_tokens},
        threads_);
    for (std::size_t k = 0; k < documents_.size(); ++k) append(documents_[k], batch.texts[k]);
    documents_.clear();
    bytes_ = 0;
  }

  void append(const Document& document, std::span<const TokenId> ids) {
    if (ids.empty()) {
      ++part_.empty_documents;
      return;
    }
    std::string source = field_of(document, options_.source_field);
    if (source.empty()) source = document.origin.source;
    std::string language = document.language;
    if (language.empty()) language = field_of(document, options_.language_field);
    PartGroup& group = part_.groups[options_.split_by_source ? source : ""];
    const std::uint64_t tokens = ids.size() + (options_.bos_id ? 1 : 0) + (options_.eod_id ? 1 : 0);
    if (tokens > INT32_MAX)
      fail("{}: row {}: a document of {} tokens is more than a shard can hold (2^31 - 1)",
           document.origin.file, document.origin.row, tokens);
    group.lengths.push_back(static_cast<std::int32_t>(tokens));
    if (type_ == ShardType::kUint16) {
      append_ids<std::uint16_t>(ids, group.ids);
    } else {
      append_ids<std::int32_t>(ids, group.ids);
    }
    const ShardCount count{1, tokens, document.text.size()};
    group.total.add(count);
    group.by_source[source].add(count);
    group.by_language[language].add(count);
  }

  template <class T>
  void append_ids(std::span<const TokenId> ids, std::string& out) const {
    std::vector<T> narrow;
    narrow.reserve(ids.size() + 2);
    if (options_.bos_id) narrow.push_back(static_cast<T>(*options_.bos_id));
    for (const TokenId id : ids) narrow.push_back(static_cast<T>(id));
    if (options_.eod_id) narrow.push_back(static_cast<T>(*options_.eod_id));
    out.append(reinterpret_cast<const char*>(narrow.data()), narrow.size() * sizeof(T));
  }

  const Tokenizer& tokenizer_;
  const TokenizeOptions& options_;
  const int threads_;
  Progress* const progress_;
  const ShardType type_;
  TokenizedPart part_;
  std::vector<Document> documents_;
  std::size_t bytes_ = 0;
};

/// Makes the folder of parts ready: those of a run with other inputs or options go.
void prepare_folder(const std::filesystem::path& folder, const std::string& key) {
  const auto plan = folder / "plan";
  if (std::filesystem::exists(plan) && read_file(plan) == key) return;
  if (std::filesystem::exists(folder) && !std::filesystem::is_empty(folder)) {
    if (!std::filesystem::exists(plan))
      fail("{} would be used for work in progress, but holds something else; give another --output",
           folder.string());
    log_info("{}: parts of another run (other inputs, options or tokenizer) are thrown away",
             folder.string());
    std::filesystem::remove_all(folder);
  }
  create_folders(folder);
  write_file(plan, key);
}

std::filesystem::path prefix_of(const TokenizeOptions& options, const std::string& group) {
  if (!options.split_by_source) return options.output;
  std::string name = group;
  for (char& c : name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.';
    if (!plain) c = '_';
  }
  return options.output.string() + "-" + name;
}

void add_counts(std::map<std::string, ShardCount>& sums,
                const std::map<std::string, ShardCount>& counts) {
  for (const auto& [name, count] : counts) sums[name].add(count);
}

/// One entry where there are too many to be of use.
void fold(std::map<std::string, ShardCount>& counts) {
  if (counts.size() <= kMaxSources) return;
  ShardCount total;
  for (const auto& [name, count] : counts) total.add(count);
  counts = {{fmt::format("{} sources", counts.size()), total}};
}

/// Says that all parts are there and shards are being written: what stands under their names is
/// then this run's own.
std::filesystem::path joining_mark(const std::filesystem::path& folder) {
  return folder / "joining";
}

void check_free(const std::filesystem::path& prefix, const TokenizeOptions& options) {
  const std::filesystem::path index = prefix.string() + ".idx";
  if (!options.overwrite && std::filesystem::exists(index))
    fail("{} is there already; give --overwrite to replace it", index.string());
}

/// Joins the parts into shards.
class Joiner {
 public:
  Joiner(const Tokenizer& tokenizer, const TokenizeOptions& options,
         const std::filesystem::path& folder, std::size_t part_count)
      : tokenizer_(tokenizer), options_(options), folder_(folder), part_count_(part_count) {}

  TokenizeResult run() {
    TokenizeResult result;
    std::map<std::string, ShardManifest> manifests;
    for (std::size_t k = 0; k < part_count_; ++k) {
      const MemoryMap map(part_path(folder_, k));
      const PartHeader header = read_part_header(map.text(), map.path().string());
      result.empty_documents += header.empty_documents;
      result.bad_rows += header.bad_rows;
      for (const auto& [name, group] : header.groups) {
        ShardManifest& manifest = manifests[name];
        manifest.total.add(group.total);
        add_counts(manifest.by_source, group.by_source);
        add_counts(manifest.by_language, group.by_language);
      }
    }
    if (manifests.empty()) fail("the input has no documents with text");
    if (manifests.size() > kMaxSources)
      fail("the rows have {} sources, more than {}; is \"{}\" the field that names the source?",
           manifests.size(), kMaxSources, options_.source_field);
    std::map<std::filesystem::path, std::string> prefixes;
    for (const auto& [name, manifest] : manifests) {
      const auto prefix = prefix_of(options_, name);
      if (!prefixes.emplace(prefix, name).second)
        fail("sources {} and {} would both be written to {}", quote(prefixes[prefix]), quote(name),
             prefix.string());
    }
    if (!std::filesystem::exists(joining_mark(folder_))) {
      for (const auto& [prefix, name] : prefixes) check_free(prefix, options_);
      write_file(joining_mark(folder_), "");
    }
    for (const auto& [prefix, name] : prefixes)
      result.shards.push_back({prefix, write(name, prefix, std::move(manifests[name]))});
    return result;
  }

 private:
  ShardManifest write(const std::string& name, const std::filesystem::path& prefix,
                      ShardManifest manifest) const {
    fold(manifest.by_source);
    fold(manifest.by_language);
    manifest.tokenizer = tokenizer_fingerprint(tokenizer_);
    manifest.tokenizer_kind = tokenizer_.kind;
    manifest.vocabulary_size = tokenizer_.size();
    manifest.bos_id = options_.bos_id;
    manifest.eod_id = options_.eod_id;
    return write_shard(
        prefix, shard_type_for(tokenizer_.size()), part_count_,
        [&](std::size_t k) {
          const auto map = std::make_shared<MemoryMap>(part_path(folder_, k));
          const PartHeader header = read_part_header(map->text(), map->path().string());
          const auto group = header.groups.find(name);
          if (group == header.groups.end()) return ShardPart{};
          return ShardPart{
              map->text().substr(group->second.lengths_begin, group->second.lengths_size),
              map->text().substr(group->second.ids_begin, group->second.ids_size), map};
        },
        std::move(manifest));
  }

  const Tokenizer& tokenizer_;
  const TokenizeOptions& options_;
  const std::filesystem::path& folder_;
  const std::size_t part_count_;
};

void check_output(const TokenizeOptions& options) {
  if (options.output.empty() || !options.output.has_filename())
    fail("--output must be the beginning of file names, such as shards/train");
}

void check_ids(const Tokenizer& tokenizer, const TokenizeOptions& options) {
  for (const auto& id : {options.bos_id, options.eod_id})
    if (id && (*id < 0 || *id >= tokenizer.size()))
      fail("token {} is not among the tokenizer's {} pieces", *id, tokenizer.size());
}

}  // namespace

ShardCount TokenizeResult::total() const {
  ShardCount total;
  for (const TokenizedShard& shard : shards) total.add(shard.manifest.total);
  return total;
}

TokenizeResult tokenize(const Tokenizer& tokenizer, const TokenizeOptions& options,
                        Communicator& communicator) {
  const std::filesystem::path folder = options.output.string() + ".parts";
  TokenizePlan plan;
  run_together(communicator, [&] {
    check_ids(tokenizer, options);
    check_output(options);
    plan = plan_tokenizing(tokenizer, options);
    if (communicator.rank() != 0) return;
    // Before the work rather than after it, and before a folder is made for it; shards of single
    // sources are checked when their names are known.
    const bool checks = !options.split_by_source;
    if (checks && !std::filesystem::exists(folder)) check_free(options.output, options);
    prepare_folder(folder, plan.key);
    if (checks && !std::filesystem::exists(joining_mark(folder)))
      check_free(options.output, options);
  });
  const bool shows = communicator.rank() == 0;
  Progress progress("tokenize", plan.input_bytes / static_cast<std::uint64_t>(communicator.size()),
                    {.unit = Progress::Unit::kBytes, .enabled = shows && options.show_progress});
  std::uint64_t parts_done = 0, bytes_done = 0;
  const auto done = [&](std::size_t k) {
    if (!std::filesystem::exists(part_path(folder, k))) return false;
    ++parts_done;
    for (const InputPiece& piece : plan.parts[k]) bytes_done += piece.bytes;
    progress.set_done(bytes_done);
    return true;
  };
  // Where there are fewer parts than threads, threads help each other within a part.
  const auto all = static_cast<std::size_t>(thread_count(options.threads)) *
                   static_cast<std::size_t>(communicator.size());
  const int inner =
      static_cast<int>(std::max<std::size_t>(1, all / std::max<std::size_t>(plan.parts.size(), 1)));
  run_tasks(communicator, options.threads, plan.parts.size(), done, [&](std::size_t k) {
    PartTokenizer part(tokenizer, options, inner, shows ? &progress : nullptr);
    write_part(part_path(folder, k), part.run(plan.parts[k]));
  });
  progress.finish();

  TokenizeResult result;
  run_together(communicator, [&] {
    if (communicator.rank() == 0)
      result = Joiner(tokenizer, options, folder, plan.parts.size()).run();
  });
  result.input_bytes = plan.input_bytes;
  result.parts = plan.parts.size();
  result.parts_done = parts_done;
  run_together(communicator, [&] {
    if (communicator.rank() == 0) std::filesystem::remove_all(folder);
  });
  return result;
}

}  // namespace tigerbot::data
