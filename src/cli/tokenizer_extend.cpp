// tigerbot tokenizer extend: more pieces for a tokenizer, so that text in more languages is short.

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "cli/options.h"
#include "cli/text_sample_options.h"
#include "cli/tokenizer_commands.h"
#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/extension/byte_level_extension.h"
#include "tokenizer/extension/sentencepiece_extension.h"
#include "tokenizer/extension/unchanged_text.h"
#include "tokenizer/training/sentencepiece_trainer.h"
#include "weights/tokenizer_source.h"

namespace tigerbot {
namespace {

struct ExtendOptions {
  std::string base, output, with;
  TextSampleFlags sample;
  std::uint64_t max_pieces = 65535;
  std::uint64_t min_frequency = 2;
  std::vector<std::string> base_scripts{"Latin"};
  std::vector<std::string> base_text;
  bool allow_changes = false, json = false;
  int threads = 0;
};

// Lines to see whether text of the base's languages keeps its ids: those of base characters alone,
// which must unless changes are allowed, and others that the user names.
class BaseLines {
 public:
  explicit BaseLines(const BaseTextGuard& guard) : guard_(guard) {}
  void add(const std::string& text, bool keep_others) {
    constexpr std::size_t kEnough = 32 << 20;
    for (const std::string_view line : split(text, '\n')) {
      if (bytes_ > kEnough || line.empty()) continue;
      const bool pure = guard_.is_base_text(line);
      if (!pure && !keep_others) continue;
      bytes_ += line.size();
      (pure ? pure_ : others_).emplace_back(line);
    }
  }
  const std::vector<std::string>& pure() const { return pure_; }
  const std::vector<std::string>& others() const { return others_; }

 private:
  const BaseTextGuard& guard_;
  std::vector<std::string> pure_, others_;
  std::size_t bytes_ = 0;
};

struct Extended {
  std::string tokenizer_json, sentencepiece;  // empty where there is none
  nlohmann::ordered_json report;
};

// The pieces of another tokenizer as bytes, the most frequent first.
std::vector<std::string> pieces_of(const TokenizerFiles& files) {
  std::vector<std::string> pieces;
  if (!files.sentencepiece.empty()) {
    const auto model = read_sentencepiece_model(files.sentencepiece, files.path.string());
    for (const auto& piece : model.pieces) {
      if (piece.type != SentencePieceModel::PieceType::kNormal) continue;
      std::string text = piece.text;
      const std::string mark = "\xE2\x96\x81";
      for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; ++at) {
        text.replace(at, mark.size(), " ");
      }
      pieces.push_back(std::move(text));
    }
    return pieces;
  }
  const std::string path = files.path.string();
  const ByteLevelBase other = read_byte_level_base(parse_json(files.tokenizer_json, path), path);
  for (std::size_t id = 0; id < other.pieces.size(); ++id) {
    if (other.is_added[id]) continue;
    auto bytes = from_byte_level(other.pieces[id]);
    if (bytes && bytes->size() > 1) pieces.push_back(std::move(*bytes));
  }
  return pieces;
}

Extended extend_byte_level(const ExtendOptions& options, const TokenizerFiles& base_files,
                           const BaseTextGuard* guard, std::optional<ShownSample>& sample,
                           BaseLines& lines) {
  const std::string path = base_files.path.string();
  const ByteLevelBase base =
      read_byte_level_base(parse_json(base_files.tokenizer_json, path), path);
  ExtensionOptions settings;
  settings.max_pieces = options.max_pieces;
  settings.min_frequency = options.min_frequency;
  settings.guard = guard;
  settings.threads = thread_count(options.threads);
  if (base.pieces.size() >= options.max_pieces) {
    fail("{}: the base has {} pieces already and --max-pieces is {}; nothing can be added", path,
         base.pieces.size(), options.max_pieces);
  }
  Extension extension;
  const auto extend = [&](const auto& source, auto function) {
    Progress progress("pieces", options.max_pieces, {.unit_name = "pieces"});
    settings.on_progress = [&](std::size_t pieces) { progress.set_done(pieces); };
    extension = function(base, source, settings);
    progress.finish();
  };
  if (sample) {
    const WordCounts words =
        count_words(*sample, base.pre_tokenizer, base.normalizer.get(), settings.threads,
                    [&](const std::string& text) { lines.add(text, false); });
    extend(words, extend_by_words);
  } else {
    extend(pieces_of(read_tokenizer_files(options.with)), extend_by_pieces);
  }
  Extended extended;
  extended.tokenizer_json = extended_document(base, extension).dump(1) + "\n";
  extended.report = {{"kind", "byte-level BPE"},
                     {"base_pieces", base.pieces.size()},
                     {"pieces", base.pieces.size() + extension.pieces.size()},
                     {"new_pieces", extension.pieces.size()},
                     {"new_merges", extension.merges.size()},
                     {"byte_pieces", extension.byte_pieces}};
  if (!sample) {
    extended.report.update({{"intermediate_pieces", extension.intermediate},
                            {"left_out",
                             {{"known", extension.known},
                              {"in_base_text", extension.unsafe},
                              {"cut_by_pre_tokenizer", extension.cut},
                              {"no_room", extension.no_room}}}});
  }
  return extended;
}

Extended extend_sentencepiece_model(const ExtendOptions& options, const TokenizerFiles& base_files,
                                    const BaseTextGuard* guard, std::optional<ShownSample>& sample,
                                    BaseLines& lines) {
  const std::string path = base_files.path.string();
  const SentencePieceModel base = read_sentencepiece_model(base_files.sentencepiece, path);
  if (base.pieces.size() >= options.max_pieces) {
    fail("{}: the base has {} pieces already and --max-pieces is {}; nothing can be added", path,
         base.pieces.size(), options.max_pieces);
  }
  SentencePieceModel added;
  if (sample) {
    SentencePieceTrainerOptions settings;
    settings.type = base.type == SentencePieceModel::Type::kUnigram
                        ? SentencePieceTrainerOptions::Type::kUnigram
                        : SentencePieceTrainerOptions::Type::kBpe;
    // Some pieces will be known or left out.
    const std::size_t room = options.max_pieces - base.pieces.size();
    settings.vocab_size = room + room / 4 + 512;
    settings.hard_vocab_limit = false;
    settings.threads = thread_count(options.threads);
    settings.add_dummy_prefix = base.normalizer.add_dummy_prefix;
    settings.remove_extra_whitespaces = base.normalizer.remove_extra_whitespaces;
    const std::string model = train_sentencepiece(settings, [&]() -> std::optional<std::string> {
      auto document = sample->next();
      if (!document) {
        sample->finish();
        fmt::print(stderr, "SentencePiece trains on it\n");
        return std::nullopt;
      }
      lines.add(document->text, false);
      return std::move(document->text);
    });
    added = read_sentencepiece_model(model, "the new pieces");
  } else {
    const TokenizerFiles with = read_tokenizer_files(options.with);
    if (with.sentencepiece.empty()) {
      fail("{}: the base is a SentencePiece model, so --with must have a tokenizer.model too",
           with.path.string());
    }
    added = read_sentencepiece_model(with.sentencepiece, with.path.string());
  }
  const SentencePieceExtension extension =
      extend_sentencepiece(base_files.sentencepiece, added, options.max_pieces, guard, path);
  Extended extended;
  extended.sentencepiece = extension.model;
  const SentencePieceModel model = read_sentencepiece_model(extension.model, path);
  // The post-processor stays the base's.
  bool add_bos = true, add_eos = false;
  if (const auto config = base_files.companions.find("tokenizer_config.json");
      config != base_files.companions.end()) {
    const Json json = parse_json(config->second, path + "/tokenizer_config.json");
    if (json.contains("add_bos_token")) add_bos = json["add_bos_token"] == true;
    if (json.contains("add_eos_token")) add_eos = json["add_eos_token"] == true;
  }
  if (const auto json = tokenizer_json_from_sentencepiece(model, add_bos, add_eos, path)) {
    extended.tokenizer_json = json->dump(1) + "\n";
  }
  extended.report = {
      {"kind", model.type == SentencePieceModel::Type::kBpe ? "SentencePiece BPE"
                                                            : "SentencePiece unigram"},
      {"base_pieces", base.pieces.size()},
      {"pieces", model.pieces.size()},
      {"new_pieces", extension.pieces},
      {"left_out",
       {{"known", extension.known},
        {"in_base_text", extension.unsafe},
        {"unreachable", extension.unreachable},
        {"no_room", extension.no_room}}}};
  return extended;
}

std::unique_ptr<Tokenizer> parse(const std::string& sentencepiece, const std::string& json,
                                 const std::string& path) {
  return sentencepiece.empty() ? parse_tokenizer_json(json, path)
                               : parse_sentencepiece_model(sentencepiece, path);
}

void print_report(const nlohmann::ordered_json& report) {
  fmt::print(stderr, "{}: {} pieces, {} of them new\n", report["output"].get<std::string>(),
             format_count(report["pieces"].get<std::uint64_t>()),
             format_count(report["new_pieces"].get<std::uint64_t>()));
  if (const auto bytes = report.value("byte_pieces", 0); bytes > 0) {
    fmt::print(stderr, "  {} are bytes that the base dropped\n", bytes);
  }
  if (report.contains("left_out")) {
    std::string list;
    for (const auto& [reason, count] : report["left_out"].items()) {
      list += fmt::format("{}{} {}", list.empty() ? "" : ", ", reason, count.dump());
    }
    fmt::print(stderr, "  left out: {}\n", list);
  }
  if (report["base_text"]["lines"] == 0) {
    fmt::print(stderr, "  no line of the base's languages was there to compare; see --base-text\n");
  }
  for (const auto& [key, what] : {std::pair("base_text", "lines of base characters alone"),
                                  std::pair("other_text", "other lines of --base-text")}) {
    if (!report.contains(key) || report[key]["lines"] == 0) continue;
    fmt::print(stderr, "  {} of {} {} encode otherwise than before\n",
               format_count(report[key]["changed_lines"].get<std::uint64_t>()),
               format_count(report[key]["lines"].get<std::uint64_t>()), what);
    if (report[key]["repaired_lines"] > 0) {
      fmt::print(stderr, "  {} more are whole now: the base drops bytes of them\n",
                 format_count(report[key]["repaired_lines"].get<std::uint64_t>()));
    }
  }
}

void run(const ExtendOptions& options) {
  if (options.with.empty() == options.sample.files.empty()) {
    fail("say where the new pieces come from: --with TOKENIZER or --corpus FILES");
  }
  refuse_existing(options.output);
  const BaseTextGuard guard(options.base_scripts);
  const BaseTextGuard* const used_guard = options.allow_changes ? nullptr : &guard;
  const TokenizerFiles base = read_tokenizer_files(options.base);
  if (base.tokenizer_json.empty() && base.sentencepiece.empty()) {
    fail("{}: only byte-level BPE and SentencePiece tokenizers can be extended",
         base.path.string());
  }
  std::optional<ShownSample> sample;
  if (!options.sample.files.empty()) sample.emplace(options.sample, "read");
  BaseLines lines(guard);
  const Extended extended =
      base.sentencepiece.empty()
          ? extend_byte_level(options, base, used_guard, sample, lines)
          : extend_sentencepiece_model(options, base, used_guard, sample, lines);

  // The promises, before anything is written.
  const auto before = parse(base.sentencepiece, base.tokenizer_json, base.path.string());
  const auto after = parse(extended.sentencepiece, extended.tokenizer_json, options.output);
  check_ids_kept(*before, *after);
  for (const std::string& file : options.base_text) lines.add(read_file(file), true);
  const auto changes_of = [&](const std::vector<std::string>& texts) {
    const TextChanges changes =
        count_changes(*before, *after, texts, thread_count(options.threads));
    nlohmann::ordered_json json = {{"lines", changes.texts},
                                   {"changed_lines", changes.changed_texts},
                                   {"repaired_lines", changes.repaired_texts},
                                   {"tokens", changes.tokens}};
    if (changes.changed_texts > 0) json["first_changed"] = changes.first_changed;
    return json;
  };

  nlohmann::ordered_json report = {{"output", options.output}, {"base", base.path.string()}};
  report.update(extended.report);
  report["base_text"] = changes_of(lines.pure());
  if (!options.base_text.empty()) report["other_text"] = changes_of(lines.others());
  AtomicFolder folder(options.output);
  if (!extended.tokenizer_json.empty()) {
    write_file(folder.path() / "tokenizer.json", extended.tokenizer_json);
  }
  if (!extended.sentencepiece.empty()) {
    write_file(folder.path() / "tokenizer.model", extended.sentencepiece);
  }
  for (const auto& [name, text] : base.companions) write_file(folder.path() / name, text);
  folder.commit();
  if (sample) report["sample"] = sample->report();
  if (options.json) {
    print_json(report);
    return;
  }
  if (sample) sample->print_report();
  print_report(report);
}

}  // namespace

void add_tokenizer_extend_command(CLI::App& tokenizer) {
  auto options = std::make_shared<ExtendOptions>();
  CLI::App& command = *tokenizer.add_subcommand(
      "extend", "Add pieces for more languages; old ids and text in the old languages stay");
  command
      .add_option(
          "BASE", options->base,
          "A Hugging Face directory, a tokenizer.json, .model or .gguf file, or a name that "
          "`tigerbot pull` knows")
      ->required();
  command.add_option("--output", options->output, "The folder to make")->required();
  command.add_option("--with", options->with, "Take the pieces of this tokenizer");
  command.add_option(
      "--corpus", options->sample.files,
      "Learn pieces from text: files, folders or globs; zh=FILE says what language a "
      "file is in");
  options->sample.add(command);
  command
      .add_option("--max-pieces", options->max_pieces,
                  "Pieces in all; 65535 keeps ids 16-bit in tokenized files")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 21));
  command.add_option("--min-frequency", options->min_frequency,
                     "Byte-level BPE: join pairs that occur at least so often");
  command
      .add_option("--base-scripts", options->base_scripts,
                  "Scripts of the base's languages, whose text must keep its ids (with digits, "
                  "punctuation, emoji)")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--base-text", options->base_text,
                     "Text to try it on: says how many lines encode otherwise than before");
  command.add_flag("--allow-changes", options->allow_changes,
                   "Pieces may be made of the base's characters too");
  command.add_option("--threads", options->threads, "0: all of the machine");
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer(
      "Example:\n  tigerbot tokenizer extend smollm2-135m-instruct --corpus zh=text/zh ja=text/ja "
      "ko=text/ko --output smollm2-cjk");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
