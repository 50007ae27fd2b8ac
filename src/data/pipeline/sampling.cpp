#include "data/pipeline/sampling.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "data/pipeline/duplicate_counts.h"
#include "data/pipeline/rows.h"
#include "data/tasks.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little && sizeof(IndexEntry) == 24);

// Streams of the counter-based generator: what a number is drawn for.
constexpr std::uint64_t kSplit = 0x73706C6974, kSample = 0x73616D706C, kShuffle = 0x73687566666C;

constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

/// share * 2^64, cut to what fits.
std::uint64_t bound_of(double share) {
  if (share >= 1) return kAll;
  return static_cast<std::uint64_t>(std::ldexp(std::max(share, 0.0), 64));
}

std::uint32_t narrow(std::uint64_t value) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(value, std::numeric_limits<std::uint32_t>::max()));
}

std::uint64_t measured_entry(const IndexEntry& entry, Measure measure) {
  return measure == Measure::kTokens      ? entry.tokens
         : measure == Measure::kDocuments ? 1
                                          : entry.bytes;
}

}  // namespace

std::uint64_t measured(const Amount& amount, Measure measure) {
  return measure == Measure::kTokens      ? amount.tokens
         : measure == Measure::kDocuments ? amount.documents
                                          : amount.bytes;
}

Draws::Draws(std::uint64_t seed, double validation_share)
    : seed_(seed), validation_bound_(bound_of(validation_share)) {}

bool Draws::is_validation(std::uint64_t hash) const {
  return random_uint64({seed_, kSplit, hash}) < validation_bound_;
}

std::uint64_t Draws::sample(std::uint64_t hash) const {
  return random_uint64({seed_, kSample, hash});
}

std::uint64_t Draws::position(std::uint64_t hash, std::uint32_t copy) const {
  return random_uint64({seed_, kShuffle + copy, hash});
}

std::uint32_t SourceBound::copies_of(const Draws& draws, std::uint64_t hash,
                                     bool validation) const {
  const std::uint32_t count = copies + (all || draws.sample(hash) < bound ? 1 : 0);
  // More of a document teaches, but measures nothing.
  return validation ? std::min(count, 1u) : count;
}

SampleIndex::SampleIndex(const Recipe& recipe, const std::vector<Unit>& units,
                         const std::vector<Unit>& all_units, const std::vector<GlobalStep>& steps,
                         const WorkFolder& work, fs::path folder)
    : recipe_(recipe),
      units_(units),
      all_units_(all_units),
      steps_(steps),
      work_(work),
      folder_(std::move(folder)),
      draws_(recipe.run.seed, recipe.output.validation) {}

fs::path SampleIndex::file(std::size_t unit, std::string_view what) const {
  return folder_ / fmt::format("{}.{}", units_[unit].key.hex(), what);
}

bool SampleIndex::done(std::size_t unit) const { return fs::exists(file(unit, "json")); }

void SampleIndex::make(std::size_t unit, const Tokenizer* tokenizer,
                       const std::function<void(std::uint64_t)>& advance) const {
  const SourceSettings& source = recipe_.sources[units_[unit].source];
  const RowContext context(source.kind, source.licence, names_of_stages(recipe_));
  const UnitDecisions decisions(steps_, unit);
  KeptDocuments documents(work_.of_unit(units_[unit], "documents"), decisions);

  AtomicFile out(file(unit, "index"));
  Amount train, validation;
  DuplicateCounts counts(steps_, all_units_, work_);
  documents.on_dropped = [&](const Document& document, const DuplicateDrop* drop) {
    counts.count_drop(document, drop);
    advance(1);
  };
  documents.on_cut = [&](const Document& before, const Document& after) {
    counts.count_cut(before, after);
  };
  std::string line;
  std::vector<TokenId> ids;
  while (const std::optional<Document> document = documents.next()) {
    line.clear();
    append_row(*document, context, 0, line);
    IndexEntry entry;
    entry.hash = text_hash(document->text);
    entry.document = narrow(documents.index());
    entry.bytes = narrow(document->text.size());
    entry.row_bytes = narrow(line.size());
    if (tokenizer != nullptr) {
      ids.clear();
      tokenizer->encode(document->text,
                        {.add_special_tokens = false, .parse_special_tokens = false}, ids);
      entry.tokens = narrow(ids.size());
    }
    out.write({reinterpret_cast<const char*>(&entry), sizeof(entry)});
    const Amount amount{1, document->text.size(), count_characters(document->text), entry.tokens};
    (draws_.is_validation(entry.hash) ? validation : train) += amount;
    counts.count_kept(*document, amount);
    advance(1);
  }
  out.commit();
  write_file(file(unit, "json"), Json{{"train", to_json(train)},
                                      {"validation", to_json(validation)},
                                      {"statistics", counts.statistics.to_json()}}
                                         .dump() +
                                     "\n");
}

std::vector<IndexEntry> SampleIndex::read(std::size_t unit) const {
  const std::string bytes = read_file(file(unit, "index"), kAll >> 1);
  if (bytes.size() % sizeof(IndexEntry) != 0)
    fail("{}: is damaged; remove it and run again", file(unit, "index").string());
  std::vector<IndexEntry> entries(bytes.size() / sizeof(IndexEntry));
  if (!entries.empty()) std::memcpy(entries.data(), bytes.data(), bytes.size());
  return entries;
}

IndexSummary SampleIndex::summary(std::size_t unit) const {
  const Json json = read_json_file(file(unit, "json"));
  IndexSummary summary;
  summary.train = amount_from_json(json.at("train"));
  summary.validation = amount_from_json(json.at("validation"));
  summary.statistics = Statistics::from_json(json.at("statistics"));
  return summary;
}

std::vector<SourceBound> SampleIndex::find_bounds(const std::vector<double>& factors,
                                                  Communicator& communicator) const {
  constexpr int kBits = 16;
  const auto ranks = static_cast<std::size_t>(communicator.size());
  const auto rank = static_cast<std::size_t>(communicator.rank());
  std::vector<SourceBound> bounds(factors.size());
  for (std::size_t s = 0; s < factors.size(); ++s) {
    const double whole = std::floor(factors[s] + 1e-12);
    const double part = factors[s] - whole;
    bounds[s].copies = static_cast<std::uint32_t>(whole);
    if (part < 1e-9) continue;
    // Two levels of 16 bits: all documents, then those of the bin where the sum is reached.
    const auto histogram = [&](int shift, std::uint64_t prefix) {
      std::vector<std::uint64_t> sums(1u << kBits, 0);
      run_together(communicator, [&] {
        for (std::size_t u = rank; u < units_.size(); u += ranks) {
          if (units_[u].source != s) continue;
          for (const IndexEntry& entry : read(u)) {
            if (draws_.is_validation(entry.hash)) continue;
            const std::uint64_t number = draws_.sample(entry.hash);
            if (shift + kBits < 64 && number >> (shift + kBits) != prefix) continue;
            sums[number >> shift & ((1u << kBits) - 1)] +=
                measured_entry(entry, recipe_.mixture.by);
          }
        }
      });
      communicator.all_reduce_sum(sums);
      return sums;
    };
    // The first bin at whose end the sum passes `wanted`, and the sum before it.
    const auto reach = [](const std::vector<std::uint64_t>& sums, double wanted, double& before) {
      for (std::size_t k = 0; k < sums.size(); ++k) {
        if (before + static_cast<double>(sums[k]) > wanted) return k;
        before += static_cast<double>(sums[k]);
      }
      return sums.size();
    };
    const std::vector<std::uint64_t> first = histogram(64 - kBits, 0);
    double supply = 0, before = 0;
    for (const std::uint64_t sum : first) supply += static_cast<double>(sum);
    const double wanted = part * supply;
    const std::size_t bin = reach(first, wanted, before);
    if (bin == first.size()) continue;
    const std::vector<std::uint64_t> second = histogram(64 - 2 * kBits, bin);
    std::size_t inner = reach(second, wanted, before);
    // The document on the border is in if that comes nearer to what is wanted.
    if (inner < second.size() &&
        before + static_cast<double>(second[inner]) - wanted < wanted - before)
      ++inner;
    const std::uint64_t bound = (std::uint64_t{bin} << kBits) + inner;
    bounds[s].all = bound >= std::uint64_t{1} << (2 * kBits);
    bounds[s].bound = bounds[s].all ? 0 : bound << (64 - 2 * kBits);
  }
  return bounds;
}

}  // namespace tigerbot::data
