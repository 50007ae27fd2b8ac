#include "train/pretrain.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "train/grouping.h"

namespace tigerbot::train {
namespace {

constexpr std::uint64_t kInstructionStream = 0x1A5'0000'0000;

std::int64_t sequences_per_step(const PretrainOptions& options) {
  const std::int64_t all =
      std::max<std::int64_t>(1, options.global_batch_tokens / options.reader.sequence_length);
  return std::max<std::int64_t>(1, all / options.reader.readers);
}

void append_tokens(const data::PackedTokens& packed, MicroBatch& batch) {
  batch.ids.insert(batch.ids.end(), packed.ids.begin(), packed.ids.end());
  batch.labels.insert(batch.labels.end(), packed.labels.begin(), packed.labels.end());
  for (std::size_t i = 0; i + 1 < packed.cu_seqlens.size(); ++i) {
    batch.lengths.push_back(packed.cu_seqlens[i + 1] - packed.cu_seqlens[i]);
    batch.sources.push_back(packed.sources[i]);
  }
}

}  // namespace

DocumentStream::DocumentStream(std::vector<std::vector<TokenId>> documents,
                               std::int64_t sequence_length, std::uint64_t seed)
    : documents_(std::move(documents)), sequence_length_(sequence_length), seed_(seed) {
  for (const auto& document : documents_) tokens_ += static_cast<std::int64_t>(document.size());
  if (tokens_ == 0) fail("data.instructions: the files hold no row to learn from");
}

void DocumentStream::go_to_epoch(std::uint64_t epoch) {
  if (epoch == epoch_) return;
  epoch_ = epoch;
  order_ =
      shuffled(static_cast<std::int64_t>(documents_.size()), seed_, kInstructionStream + epoch);
  starts_.clear();
  std::int64_t start = 0;
  for (const std::int64_t i : order_) {
    starts_.push_back(start);
    start += static_cast<std::int64_t>(documents_[static_cast<std::size_t>(i)].size());
  }
}

void DocumentStream::append_sequence(std::uint64_t index, int source, MicroBatch& batch) {
  auto at = static_cast<std::int64_t>(index) * sequence_length_;
  std::int64_t missing = sequence_length_;
  while (missing > 0) {
    go_to_epoch(static_cast<std::uint64_t>(at / tokens_));
    const std::int64_t here = at % tokens_;
    const auto next = std::ranges::upper_bound(starts_, here);
    const auto place = static_cast<std::size_t>(next - starts_.begin()) - 1;
    const auto& document = documents_[static_cast<std::size_t>(order_[place])];
    const std::int64_t first = here - starts_[place];
    const std::int64_t size = static_cast<std::int64_t>(document.size());
    const std::int64_t count = std::min(missing, size - first);
    for (std::int64_t i = first; i < first + count; ++i) {
      batch.ids.push_back(document[static_cast<std::size_t>(i)]);
      batch.labels.push_back(i + 1 < size ? document[static_cast<std::size_t>(i + 1)] : -100);
    }
    batch.lengths.push_back(count);
    batch.sources.push_back(source);
    missing -= count;
    at += count;
  }
}

PretrainObjective::PretrainObjective(const PretrainOptions& options,
                                     std::vector<std::vector<TokenId>> instructions,
                                     Communicator& group, Json manifest)
    : options_(options), group_(group), reader_(options.reader), manifest_(std::move(manifest)) {
  for (const data::ShardSource& source : options.reader.sources) {
    source_names_.push_back(source.name);
  }
  if (options.instruction_share <= 0) return;
  source_names_.emplace_back("instructions");
  instructions_ = std::make_unique<DocumentStream>(
      std::move(instructions), options.reader.sequence_length, options.reader.seed);
}

void PretrainObjective::append_sequence(MicroBatch& batch) {
  // Of every 1 / share sequences of a rank one is the instructions', evenly.
  const auto n = static_cast<double>(sequences_++);
  const double before = std::floor(n * options_.instruction_share);
  if (std::floor((n + 1) * options_.instruction_share) > before) {
    const auto mine = static_cast<std::uint64_t>(before);
    const std::uint64_t index = mine * static_cast<std::uint64_t>(options_.reader.readers) +
                                static_cast<std::uint64_t>(options_.reader.reader);
    instructions_->append_sequence(index, static_cast<int>(source_names_.size()) - 1, batch);
  } else {
    append_tokens(reader_.next(), batch);
  }
}

StepBatch PretrainObjective::next_step() {
  StepBatch step;
  const std::int64_t sequences = sequences_per_step(options_);
  for (std::int64_t done = 0; done < sequences;) {
    MicroBatch& batch = step.micro_batches.emplace_back();
    for (std::int64_t i = 0; i < options_.micro_batch_sequences && done < sequences; ++i, ++done) {
      append_sequence(batch);
    }
    step.tokens += static_cast<std::int64_t>(batch.ids.size());
    step.labels +=
        std::ranges::count_if(batch.labels, [](std::int64_t label) { return label >= 0; });
  }
  step.examples = sequences;
  std::array<std::uint64_t, 1> labels{static_cast<std::uint64_t>(step.labels)};
  group_.all_reduce_sum(labels);
  const auto weight =
      static_cast<float>(1.0 / static_cast<double>(std::max<std::uint64_t>(1, labels[0])));
  for (MicroBatch& batch : step.micro_batches) batch.weights.assign(batch.ids.size(), weight);
  return step;
}

std::int64_t PretrainObjective::steps() const {
  const double tokens = static_cast<double>(reader_.epoch_tokens()) *
                        static_cast<double>(options_.epochs) / (1 - options_.instruction_share);
  const double per_step = static_cast<double>(
      sequences_per_step(options_) * options_.reader.readers * options_.reader.sequence_length);
  return static_cast<std::int64_t>(std::ceil(tokens / per_step));
}

Json PretrainObjective::position() const {
  return {{"sequences", sequences_}, {"shards", reader_.state()}};
}

void PretrainObjective::seek(const Json& position) {
  JsonReader reader(position, "the checkpoint's data position");
  sequences_ = reader.get<std::uint64_t>("sequences");
  reader_.restore(reader.get<Json>("shards"), "the checkpoint's data position");
  reader.finish();
}

Json PretrainObjective::manifest() const {
  Json manifest = manifest_;
  Json progress = Json::array();
  for (const data::SourceProgress& source : reader_.progress()) {
    progress.push_back({{"source", source.name},
                        {"share", source.weight},
                        {"tokens", source.tokens},
                        {"epochs", source.epochs}});
  }
  manifest["taken"] = std::move(progress);
  if (instructions_) {
    manifest["instructions"] = {{"share", options_.instruction_share},
                                {"tokens_an_epoch", instructions_->tokens()}};
  }
  return manifest;
}

std::string instruction_text(const nlohmann::ordered_json& messages) {
  std::string text;
  for (const auto& message : messages) {
    const auto content = message["content"].get<std::string>();
    if (message["role"] == "system" || content.empty()) continue;
    if (!text.empty()) text += "\n";
    text += content;
  }
  return text;
}

}  // namespace tigerbot::train
