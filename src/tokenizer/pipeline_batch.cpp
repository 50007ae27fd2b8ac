#include <algorithm>
#include <utility>

#include "tokenizer/encode_batch.h"
#include "tokenizer/pipeline_tokenizer.h"

// encode_batch(): many texts on many threads. Short texts are taken in runs; a long one is cut
// where no word can go on over the cut, and its ids are joined in the end.

namespace tigerbot {
namespace {

// Bytes of text in a unit of work, about.
constexpr std::size_t kUnitSize = std::size_t{1} << 18;
constexpr std::size_t kRoomSlack = 4096;

}  // namespace

std::vector<PipelineTokenizer::WorkUnit> PipelineTokenizer::plan(
    std::span<const std::string_view> texts, const EncodeOptions& options,
    std::deque<Segments>& long_texts) const {
  std::vector<WorkUnit> units;
  const bool can_cut = pipeline_.byte_model && pipeline_.pre_tokenizer.scanner();
  std::size_t run_begin = 0, run_size = 0;
  const auto end_run = [&](std::size_t end) {
    if (run_begin < end) units.push_back({run_begin, end, {}});
    run_begin = end;
    run_size = 0;
  };
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!can_cut || texts[i].size() <= 2 * kUnitSize) {
      run_size += texts[i].size();
      if (run_size >= kUnitSize) end_run(i + 1);
      continue;
    }
    end_run(i);
    run_begin = i + 1;
    long_texts.push_back(segment(texts[i], options.parse_special_tokens));
    WorkUnit unit{i, i + 1, {}};
    std::size_t unit_size = 0;
    for (Segment part : long_texts.back().segments) {
      while (unit_size + part.text.size() > kUnitSize && part.token == nullptr) {
        const std::size_t cut =
            find_safe_split(part.text, kUnitSize - std::min(unit_size, kUnitSize));
        if (cut == part.text.size()) break;
        unit.segments.push_back({part.text.substr(0, cut), part.at_start, nullptr});
        units.push_back(std::exchange(unit, {i, i + 1, {}}));
        unit_size = 0;
        part = {part.text.substr(cut), false, nullptr};
      }
      unit_size += part.text.size();
      unit.segments.push_back(part);
    }
    units.push_back(std::move(unit));
  }
  end_run(texts.size());
  return units;
}

void PipelineTokenizer::encode_unit(const WorkUnit& unit, std::span<const std::string_view> texts,
                                    const EncodeOptions& options, Scratch& scratch,
                                    std::vector<std::size_t>& ends) const {
  std::size_t size = 0;
  for (const Segment& part : unit.segments) size += part.text.size();
  for (std::size_t i = unit.first_text; i < unit.end_text && unit.segments.empty(); ++i) {
    size += texts[i].size();
  }
  // Room for the most there can be: memory that is never written costs nothing.
  scratch.ids.clear();
  scratch.ids.room(size + kRoomSlack);
  if (!unit.segments.empty()) {
    for (const Segment& part : unit.segments) encode_segment(part, scratch);
    ends.push_back(scratch.ids.size());
    return;
  }
  for (std::size_t i = unit.first_text; i < unit.end_text; ++i) {
    encode_text(texts[i], options, scratch);
    ends.push_back(scratch.ids.size());
  }
}

EncodedBatch PipelineTokenizer::encode_batch(std::span<const std::string_view> texts,
                                             const EncodeOptions& options, int threads) const {
  std::deque<Segments> long_texts;
  const std::vector<WorkUnit> units = plan(texts, options, long_texts);
  EncodedBatch batch;
  batch.texts.resize(texts.size());
  batch.blocks.resize(units.size());
  std::vector<std::size_t> part_sizes(units.size());
  WorkQueue queue(units.size());
  run_parallel(queue, threads, [&](WorkQueue& work) {
    const auto scratch = scratch_.borrow();
    std::vector<std::size_t> ends;
    while (const auto u = work.take()) {
      ends.clear();
      encode_unit(units[*u], texts, options, *scratch, ends);
      batch.blocks[*u] = scratch->ids.release();
      part_sizes[*u] = ends.back();
      std::size_t begin = 0;
      for (std::size_t i = 0; i < ends.size() && units[*u].segments.empty(); ++i) {
        batch.texts[units[*u].first_text + i] = {batch.blocks[*u].get() + begin, ends[i] - begin};
        begin = ends[i];
      }
    }
  });
  // Join the parts of long texts.
  const PostProcessor& around = pipeline_.post_processor;
  for (std::size_t first = 0; first < units.size(); ++first) {
    if (units[first].segments.empty()) continue;
    std::size_t end = first;
    IdBuffer whole;
    if (options.add_special_tokens) {
      for (const TokenId id : around.before) whole.push_back(id);
    }
    std::size_t total = around.after.size();
    for (; end < units.size() && units[end].first_text == units[first].first_text; ++end) {
      total += part_sizes[end];
    }
    whole.room(total);
    for (std::size_t u = first; u < end; ++u) {
      std::copy_n(batch.blocks[u].get(), part_sizes[u], whole.room(part_sizes[u]));
      whole.commit(part_sizes[u]);
      batch.blocks[u].reset();
    }
    if (options.add_special_tokens) {
      for (const TokenId id : around.after) whole.push_back(id);
    }
    const std::size_t size = whole.size();
    batch.blocks.push_back(whole.release());
    batch.texts[units[first].first_text] = {batch.blocks.back().get(), size};
    first = end - 1;
  }
  return batch;
}

}  // namespace tigerbot
