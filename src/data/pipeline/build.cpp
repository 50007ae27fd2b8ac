#include "data/pipeline/build.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/logging.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/version.h"
#include "data/mixture.h"
#include "data/pipeline/duplicate_counts.h"
#include "data/pipeline/global_phase.h"
#include "data/pipeline/manifest.h"
#include "data/pipeline/run_plan.h"
#include "data/pipeline/sampling.h"
#include "data/pipeline/shuffle.h"
#include "data/pipeline/unit_phase.h"
#include "data/pipeline/work_folder.h"
#include "data/report/html_report.h"
#include "data/tasks.h"
#include "data/units.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

/// The patterns of run.earlier, an output folder being its shards.
std::vector<std::string> earlier_patterns(const Recipe& recipe) {
  const fs::path folder = fs::absolute(recipe.path).parent_path();
  std::vector<std::string> patterns;
  for (const std::string& name : recipe.run.earlier) {
    const fs::path path = folder / expand_home(name);
    if (fs::exists(path / "manifest.json")) {
      patterns.push_back((path / "train-*.jsonl*").string());
      // Validation shards are there only if a share was set aside.
      for (const auto& entry : fs::directory_iterator(path))
        if (entry.path().filename().string().starts_with("validation-"))
          patterns.push_back(entry.path().string());
    } else {
      patterns.push_back(name);
    }
  }
  return patterns;
}

/// A recipe that only reads what an earlier run has put out.
Recipe recipe_of_earlier(const Recipe& recipe) {
  Recipe earlier;
  earlier.path = recipe.path;
  earlier.run = recipe.run;
  SourceSettings source;
  source.name = "earlier";
  source.files = earlier_patterns(recipe);
  source.format = "jsonl";
  source.keep_metadata = false;
  earlier.sources.push_back(std::move(source));
  return earlier;
}

class FingerprintListener final : public UnitPhase::Listener {
 public:
  FingerprintListener(const fs::path& path, const FingerprintSettings& settings)
      : writer_(path, settings) {}
  void add(const Document& document) override { writer_.append(document); }
  void commit() override { writer_.commit(); }

 private:
  FingerprintWriter writer_;
};

class Build {
 public:
  Build(const Recipe& recipe, const BuildOptions& options, Communicator& communicator)
      : recipe_(recipe),
        options_(options),
        communicator_(communicator),
        work_(recipe.run.output),
        threads_(thread_count(recipe.run.threads)) {}

  BuildResult run() {
    BuildResult result;
    plan();
    result.up_to_date = up_to_date();
    if (!result.up_to_date) {
      process_units();
      timed("duplicates", [&] {
        steps_ = run_global_stages(recipe_, units_, earlier_, work_, communicator_,
                                   options_.show_progress);
      });
      make_index();
      write_shards();
    }
    run_together(communicator_, [&] {
      if (communicator_.rank() == 0) result.report = read_json_file(work_.output() / "report.json");
    });
    return result;
  }

 private:
  bool first() const { return communicator_.rank() == 0; }

  /// Runs `step` and adds its wall time to the run's, which outlives a restart.
  void timed(const std::string& name, const std::function<void()>& step) {
    const auto start = std::chrono::steady_clock::now();
    step();
    run_together(communicator_, [&] {
      if (!first()) return;
      const double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      const fs::path path = times_file();
      Json times = fs::exists(path) ? read_json_file(path) : Json::object();
      times[name] = times.value(name, 0.0) + seconds;
      write_file(path, times.dump() + "\n");
    });
  }
  fs::path times_file() const { return work_.of_step("output", output_key_) / "seconds.json"; }

  /// run_tasks with a bar: sizes[k] is how much task k advances.
  void run_phase(
      const std::string& label, Progress::Options look, int threads,
      const std::vector<std::uint64_t>& sizes, const std::function<bool(std::size_t)>& done,
      const std::function<void(std::size_t, const std::function<void(std::uint64_t)>&)>& task) {
    look.enabled = options_.show_progress && first();
    std::uint64_t open = 0;
    std::vector<bool> is_done(sizes.size());
    run_together(communicator_, [&] {
      if (!first()) return;
      for (std::size_t k = 0; k < sizes.size(); ++k) {
        is_done[k] = done(k);
        if (!is_done[k]) open += sizes[k];
      }
    });
    // Rank 0 sees its own part; the others go along at the same pace.
    Progress progress(label, open / static_cast<std::uint64_t>(communicator_.size()), look);
    run_tasks(
        communicator_, threads, sizes.size(), [&](std::size_t k) { return is_done[k]; },
        [&](std::size_t k) { task(k, [&](std::uint64_t amount) { progress.advance(amount); }); },
        sizes);
  }

  void plan() {
    run_together(communicator_, [&] {
      if (!first()) return;
      create_folders(work_.path() / "units");
      if (work_.is_locked())
        log_warning("{}: another run writes to this folder; waiting until it is through",
                    work_.output().string());
      lock_.emplace(work_.lock());
      work_.remove_partial_files();
    });
    fingerprints_ = fingerprint_settings(recipe_);
    run_together(communicator_, [&] {
      check_global_stages(recipe_);
      units_ = plan_units(recipe_);
      if (!recipe_.run.earlier.empty()) {
        earlier_recipe_ = recipe_of_earlier(recipe_);
        earlier_ = plan_units(*earlier_recipe_);
      }
      all_units_ = units_;
      all_units_.insert(all_units_.end(), earlier_.begin(), earlier_.end());
      index_key_ = hash128(fmt::format("{} {} {} {}", global_key(recipe_, units_, earlier_).hex(),
                                       recipe_.run.seed, recipe_.output.validation,
                                       recipe_.mixture.tokenizer.empty()
                                           ? ""
                                           : options_.tokenizer_stamp(recipe_.mixture.tokenizer)));
      Json settings = recipe_.table;
      // What changes no byte of the output, and may differ from run to run.
      for (const char* key : {"threads", "memory_limit", "bad_row_limit", "output"})
        settings["run"].erase(key);
      output_key_ = hash128(index_key_.hex() + settings.dump());
    });
    // All ranks must see the same input, or they would share out different work.
    const std::string mine = output_key_.hex();
    for (const std::string& other : communicator_.all_gather(mine)) {
      if (other != mine)
        fail("{}: the ranks do not see the same input files; is every folder shared between them?",
             recipe_.path.string());
    }
  }

  bool up_to_date() {
    bool answer = false;
    run_together(communicator_, [&] {
      if (!first()) return;
      answer = manifest_holds(work_.output(), output_key_.hex()) &&
               fs::exists(work_.output() / "report.json");
    });
    return from_first_rank(communicator_, answer ? "1" : "0") == "1";
  }

  bool unit_done(const UnitPhase& phase, const Unit& unit) const {
    return phase.done(unit) &&
           (!fingerprints_ || fs::exists(fingerprints_of(work_, unit, *fingerprints_)));
  }

  void process_units() {
    run_together(communicator_, [&] { create_folders(work_.of_step("output", output_key_)); });
    timed("documents", [&] {
      if (earlier_recipe_) process(*earlier_recipe_, earlier_, "earlier");
      process(recipe_, units_, "documents");
    });
    run_together(communicator_, [&] {
      if (!first() || !recipe_.run.bad_row_limit) return;
      std::uint64_t bad = 0;
      const UnitPhase phase(recipe_, work_);
      for (const Unit& unit : units_) bad += phase.statistics(unit).bad_inputs;
      if (bad > *recipe_.run.bad_row_limit)
        fail("{}: {} bad rows or files; run.bad_row_limit allows {}", recipe_.path.string(), bad,
             *recipe_.run.bad_row_limit);
    });
  }

  void process(const Recipe& recipe, const std::vector<Unit>& units, const std::string& label) {
    UnitPhase phase(recipe, work_);
    if (fingerprints_)
      phase.make_listener = [this](const Unit& unit) {
        return std::make_unique<FingerprintListener>(fingerprints_of(work_, unit, *fingerprints_),
                                                     *fingerprints_);
      };
    std::vector<std::uint64_t> sizes;
    for (const Unit& unit : units) sizes.push_back(unit.bytes());
    run_phase(
        label, {.unit = Progress::Unit::kBytes}, threads_, sizes,
        [&](std::size_t k) { return unit_done(phase, units[k]); },
        [&](std::size_t k, const std::function<void(std::uint64_t)>& advance) {
          if (!phase.done(units[k])) {
            phase.run(units[k], advance);
            return;
          }
          // Other duplicate stages than before: the documents are there, the fingerprints are not.
          FingerprintListener writer(fingerprints_of(work_, units[k], *fingerprints_),
                                     *fingerprints_);
          DocumentFile documents(work_.of_unit(units[k], "documents"));
          while (const auto document = documents.next()) writer.add(*document);
          writer.commit();
          advance(sizes[k]);
        });
  }

  std::vector<std::uint64_t> documents_of_units() const {
    std::vector<std::uint64_t> counts(units_.size());
    for (std::size_t u = 0; u < units_.size(); ++u)
      counts[u] = DocumentFile(work_.of_unit(units_[u], "documents")).size();
    return counts;
  }

  void make_index() {
    const fs::path folder = work_.of_step("index", index_key_);
    run_together(communicator_, [&] {
      create_folders(folder);
      if (!recipe_.mixture.tokenizer.empty())
        tokenizer_ = options_.open_tokenizer(recipe_.mixture.tokenizer);
    });
    index_.emplace(recipe_, units_, all_units_, steps_, work_, folder);
    timed("index", [&] {
      run_phase(
          tokenizer_ ? "tokens" : "index", {.unit_name = "documents"}, threads_,
          documents_of_units(), [&](std::size_t u) { return index_->done(u); },
          [&](std::size_t u, const std::function<void(std::uint64_t)>& advance) {
            index_->make(u, tokenizer_.get(), advance);
          });
    });
  }

  /// What each source can give, and from it the plan; the same on every rank.
  MixturePlan plan_of_mixture() {
    supplies_.clear();
    for (const SourceSettings& source : recipe_.sources)
      supplies_.push_back({source.name, source.kind, 0});
    MixturePlan plan;
    run_together(communicator_, [&] {
      for (std::size_t u = 0; u < units_.size(); ++u)
        supplies_[units_[u].source].amount +=
            measured(index_->summary(u).train, recipe_.mixture.by);
      plan = plan_mixture(recipe_.mixture, supplies_, recipe_.path.string());
    });
    return plan;
  }

  void write_shards() {
    const MixturePlan plan = plan_of_mixture();
    const fs::path folder = work_.of_step("output", output_key_);
    run_together(communicator_, [&] { create_folders(folder / "rows"); });
    Shuffle shuffle(recipe_, units_, steps_, work_, *index_,
                    index_->find_bounds(plan.factors, communicator_), folder);
    shuffle.plan(communicator_);
    bool shards_there = true;
    for (std::size_t k = 0; k < shuffle.shards().size(); ++k)
      shards_there = shards_there && shuffle.shard_done(k);
    shards_there = from_first_rank(communicator_, shards_there ? "1" : "0") == "1";
    if (!shards_there) {
      timed("shuffle", [&] {
        const std::uint64_t memory = std::clamp<std::uint64_t>(
            recipe_.run.memory_limit / 4 / static_cast<std::uint64_t>(threads_), 16 << 20,
            256 << 20);
        run_phase(
            "shuffle", {.unit_name = "documents"}, threads_, documents_of_units(),
            [&](std::size_t u) { return shuffle.unit_done(u); },
            [&](std::size_t u, const std::function<void(std::uint64_t)>& advance) {
              shuffle.scatter(u, memory, advance);
            });
      });
      timed("shards", [&] {
        const auto at_once = static_cast<int>(
            std::clamp<std::uint64_t>(recipe_.run.memory_limit / (2 * recipe_.output.shard_bytes),
                                      1, static_cast<std::uint64_t>(threads_)));
        const std::vector<std::uint64_t> sizes(shuffle.shards().size(), recipe_.output.shard_bytes);
        run_phase(
            "shards", {.unit = Progress::Unit::kBytes}, at_once, sizes,
            [&](std::size_t k) { return shuffle.shard_done(k); },
            [&](std::size_t k, const std::function<void(std::uint64_t)>& advance) {
              shuffle.gather(k, advance);
            });
      });
    }
    run_together(communicator_, [&] {
      if (first()) finish(plan, shuffle);
    });
  }

  /// Puts the shards in their place, then the manifest, which makes the output whole.
  void finish(const MixturePlan& plan, const Shuffle& shuffle) {
    std::error_code ignored;
    RunFacts facts = gather_facts(plan, shuffle);
    fs::remove(work_.output() / "manifest.json", ignored);
    shuffle.publish();
    write_file(work_.output() / "report.json", report_json(facts).dump(1) + "\n");
    write_html_report(work_.output() / "report.html", report_json(facts));
    write_run_plan(work_, {units_, earlier_, steps_, shuffle.bounds(), recipe_.run.seed,
                           recipe_.output.validation, recipe_});
    write_file(work_.output() / "manifest.json", manifest_json(facts).dump(1) + "\n");
    shuffle.remove_rows();
    remove_stale();
  }

  RunFacts gather_facts(const MixturePlan& plan, const Shuffle& shuffle) const {
    RunFacts facts;
    facts.recipe = &recipe_;
    facts.key = output_key_.hex();
    facts.plan = plan;
    facts.supplies = supplies_;
    const UnitPhase phase(recipe_, work_);
    for (std::size_t u = 0; u < units_.size(); ++u) {
      const std::string& source = recipe_.sources[units_[u].source].name;
      const Statistics statistics = phase.statistics(units_[u]);
      facts.documents.add(statistics);
      facts.by_source[source].add(statistics);
      const IndexSummary summary = index_->summary(u);
      facts.duplicates.add(summary.statistics);
      facts.duplicates_by_source[source].add(summary.statistics);
      facts.output.add(shuffle.amounts(u));
    }
    for (std::size_t k = 0; k < shuffle.shards().size(); ++k)
      facts.shards.push_back(shuffle.summary(k));
    for (const GlobalStep& step : steps_) facts.global_steps.push_back(step.kind);
    facts.clusters = clusters();
    facts.seconds = fs::exists(times_file()) ? read_json_file(times_file()) : Json::object();
    facts.threads = threads_;
    facts.ranks = communicator_.size();
    facts.units = units_.size();
    facts.tokens_counted = tokenizer_ != nullptr;
    return facts;
  }

  Json clusters() const {
    const DuplicateClusters found =
        count_clusters(steps_, units_.size(), recipe_.run.memory_limit / 2);
    Json json;
    json["sizes"] = Json::object();
    for (const auto& item : found.sizes) json["sizes"][std::to_string(item.first)] = item.second;
    json["largest"] = Json::array();
    for (const auto& cluster : found.largest) {
      const Document document =
          DocumentFile(work_.of_unit(all_units_.at(cluster.unit), "documents"))
              .read(cluster.document);
      json["largest"].push_back({{"size", cluster.size},
                                 {"id", document_id(document.origin)},
                                 {"source", document.origin.source},
                                 {"language", document.language},
                                 {"excerpt", excerpt_of(document.text, 300)}});
    }
    return json;
  }

  /// Removes work that this run does not need: of other settings, or of input that is gone.
  void remove_stale() const {
    std::error_code ignored;
    std::set<std::string> keys;
    for (const Unit& unit : all_units_) keys.insert(unit.key.hex());
    std::vector<fs::path> stale;
    for (const auto& entry : fs::directory_iterator(work_.path() / "units", ignored))
      if (!keys.contains(entry.path().stem().string())) stale.push_back(entry.path());
    std::set<fs::path> folders{work_.path() / "units", work_.of_step("index", index_key_),
                               work_.of_step("output", output_key_)};
    for (const GlobalStep& step : steps_) folders.insert(step.folder);
    for (const auto& entry : fs::directory_iterator(work_.path(), ignored))
      if (entry.is_directory(ignored) && !folders.contains(entry.path()))
        stale.push_back(entry.path());
    for (const fs::path& path : stale) fs::remove_all(path, ignored);
  }

  const Recipe& recipe_;
  const BuildOptions& options_;
  Communicator& communicator_;
  const WorkFolder work_;
  const int threads_;
  std::optional<FileLock> lock_;
  std::optional<FingerprintSettings> fingerprints_;
  std::optional<Recipe> earlier_recipe_;
  std::vector<Unit> units_, earlier_, all_units_;
  Hash128 index_key_, output_key_;
  std::vector<GlobalStep> steps_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<SampleIndex> index_;
  std::vector<SourceSupply> supplies_;
};

}  // namespace

BuildResult build(const Recipe& recipe, const BuildOptions& options, Communicator& communicator) {
  return Build(recipe, options, communicator).run();
}

}  // namespace tigerbot::data
