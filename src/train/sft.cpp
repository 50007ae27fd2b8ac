#include "train/sft.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "train/grouping.h"

namespace tigerbot::train {
namespace {

/// What the random streams of a run are for; see also the other objectives.
constexpr std::uint64_t kShuffleStream = 0x5F7'0000'0000;

bool has_labels(const SftExample& example) {
  return std::ranges::any_of(example.labels, [](std::int64_t label) { return label >= 0; });
}

}  // namespace

std::vector<SftExample> read_sft_examples(const std::vector<SftSource>& sources,
                                          const SftTemplate& chat_template,
                                          const Tokenizer& tokenizer, const SftOptions& options,
                                          std::vector<SftCounts>& counts) {
  std::vector<SftExample> examples;
  Progress progress("reading examples", 0, {.unit_name = "rows"});
  const auto limit = static_cast<std::size_t>(options.sequence_length);
  for (std::size_t s = 0; s < sources.size(); ++s) {
    SftCounts& count = counts.emplace_back();
    const std::size_t first = examples.size();
    for_each_row(sources[s].path, [&](const nlohmann::ordered_json& row, const std::string& place) {
      if (sources[s].max_rows > 0 && count.rows >= sources[s].max_rows) return;
      ++count.rows;
      progress.advance();
      SftExample example = chat_template.encode(parse_sft_row(row, place), tokenizer, place);
      example.source = static_cast<int>(s);
      const bool too_long = example.ids.size() > limit;
      if (too_long && options.too_long == SftOptions::TooLong::kCut) {
        example.ids.resize(limit);
        example.labels.resize(limit);
        example.labels.back() = -100;  // what would follow was cut
      }
      if ((too_long && options.too_long == SftOptions::TooLong::kDrop) || !has_labels(example)) {
        ++count.dropped;
        return;
      }
      count.cut += too_long ? 1 : 0;
      examples.push_back(std::move(example));
    });
    const std::size_t last = examples.size();
    for (std::int64_t again = 1; again < sources[s].repeat; ++again) {
      for (std::size_t i = first; i < last; ++i) examples.push_back(SftExample(examples[i]));
    }
  }
  progress.finish();
  if (examples.empty()) fail("data: the files hold no row to learn from");
  return examples;
}

SftObjective::SftObjective(std::vector<SftExample> examples, std::vector<std::string> source_names,
                           const SftOptions& options, Json manifest)
    : examples_(std::move(examples)),
      source_names_(std::move(source_names)),
      options_(options),
      manifest_(std::move(manifest)) {
  if (examples_.empty()) fail("data: the set is empty");
  Hash128 hash;
  for (const SftExample& example : examples_) {
    const auto* bytes = reinterpret_cast<const char*>(example.ids.data());
    hash = hash128({bytes, example.ids.size() * sizeof(TokenId)}, hash.low);
  }
  fingerprint_ = hash.hex();
  groups_ = groups_of_epoch(0);
  // Epochs differ in their order, and so perhaps in the number of their groups, by one or two.
  steps_ = steps_of(groups_) * options_.epochs;
}

std::int64_t SftObjective::label_count(std::int64_t example) const {
  const SftExample& row = examples_[static_cast<std::size_t>(example)];
  return std::ranges::count_if(row.labels, [](std::int64_t label) { return label >= 0; });
}

SftObjective::Groups SftObjective::groups_of_epoch(std::int64_t epoch) const {
  const auto stream = kShuffleStream + 2 * static_cast<std::uint64_t>(epoch);
  const std::vector<std::int64_t> order =
      shuffled(static_cast<std::int64_t>(examples_.size()), options_.seed, stream);
  Groups groups;
  if (options_.batching != SftOptions::Batching::kGrouped) {
    for (const std::int64_t i : order) groups.push_back({i});
    return groups;
  }
  std::vector<std::int64_t> lengths;
  for (const std::int64_t i : order) {
    lengths.push_back(static_cast<std::int64_t>(examples_[static_cast<std::size_t>(i)].ids.size()));
  }
  // Long examples fill the first groups: the groups are shuffled too, so that steps are alike.
  const Groups packed = first_fit_decreasing(lengths, options_.sequence_length);
  for (const std::int64_t g :
       shuffled(static_cast<std::int64_t>(packed.size()), options_.seed, stream + 1)) {
    std::vector<std::int64_t>& group = groups.emplace_back();
    for (const std::int64_t i : packed[static_cast<std::size_t>(g)]) {
      group.push_back(order[static_cast<std::size_t>(i)]);
    }
  }
  return groups;
}

std::int64_t SftObjective::steps_of(const Groups& groups) const {
  const std::int64_t per_step =
      std::max<std::int64_t>(1, options_.global_batch_tokens / options_.sequence_length);
  return (static_cast<std::int64_t>(groups.size()) + per_step - 1) / per_step;
}

MicroBatch SftObjective::micro_batch(std::size_t first, std::size_t last, double labels,
                                     double examples) const {
  MicroBatch batch;
  for (std::size_t g = first; g < last; ++g) {
    for (const std::int64_t i : groups_[g]) {
      const SftExample& example = examples_[static_cast<std::size_t>(i)];
      const double weight = options_.average == SftOptions::Average::kToken
                                ? 1 / labels
                                : 1 / (examples * static_cast<double>(label_count(i)));
      batch.ids.insert(batch.ids.end(), example.ids.begin(), example.ids.end());
      batch.labels.insert(batch.labels.end(), example.labels.begin(), example.labels.end());
      auto length = static_cast<std::int64_t>(example.ids.size());
      if (options_.batching == SftOptions::Batching::kPadded) {
        const auto missing = static_cast<std::size_t>(options_.sequence_length - length);
        batch.ids.insert(batch.ids.end(), missing, options_.padding);
        batch.labels.insert(batch.labels.end(), missing, -100);
        length = options_.sequence_length;
      }
      batch.weights.resize(batch.ids.size(), static_cast<float>(weight));
      batch.lengths.push_back(length);
      batch.sources.push_back(example.source);
    }
  }
  return batch;
}

StepBatch SftObjective::next_step() {
  if (next_group_ >= groups_.size()) {
    if (epoch_ + 1 >= options_.epochs) return {};
    ++epoch_;
    next_group_ = 0;
    groups_ = groups_of_epoch(epoch_);
  }
  const auto per_step = static_cast<std::size_t>(
      std::max<std::int64_t>(1, options_.global_batch_tokens / options_.sequence_length));
  const std::size_t end = std::min(groups_.size(), next_group_ + per_step);
  StepBatch step;
  for (std::size_t g = next_group_; g < end; ++g) {
    for (const std::int64_t i : groups_[g]) {
      step.labels += label_count(i);
      ++step.examples;
    }
  }
  // Consecutive micro-batches go to consecutive ranks; every rank counts all of the step's labels.
  const auto size = static_cast<std::size_t>(options_.micro_batch_sequences);
  std::size_t number = 0;
  for (std::size_t g = next_group_; g < end; g += size, ++number) {
    if (number % static_cast<std::size_t>(options_.ranks) !=
        static_cast<std::size_t>(options_.rank)) {
      continue;
    }
    step.micro_batches.push_back(micro_batch(g, std::min(end, g + size),
                                             static_cast<double>(step.labels),
                                             static_cast<double>(step.examples)));
    step.tokens += static_cast<std::int64_t>(step.micro_batches.back().ids.size());
  }
  next_group_ = end;
  return step;
}

Json SftObjective::position() const {
  return {{"epoch", epoch_}, {"group", next_group_}, {"examples", fingerprint_}};
}

void SftObjective::seek(const Json& position) {
  JsonReader reader(position, "data position");
  epoch_ = reader.get<std::int64_t>("epoch");
  next_group_ = reader.get<std::uint64_t>("group");
  if (reader.get<std::string>("examples") != fingerprint_) {
    fail(
        "data: the examples are not those that the checkpoint was made with; put them back, or "
        "choose another output folder");
  }
  reader.finish();
  groups_ = groups_of_epoch(epoch_);
}

}  // namespace tigerbot::train
