#include <algorithm>
#include <mutex>
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
// Ids in a block of memory that units share.
constexpr std::size_t kBlockSize = std::size_t{1} << 21;

void append(std::span<const TokenId> ids, IdBuffer& whole) {
  std::copy(ids.begin(), ids.end(), whole.room(ids.size()));
  whole.commit(ids.size());
}

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

std::size_t PipelineTokenizer::size_of(const WorkUnit& unit,
                                       std::span<const std::string_view> texts) const {
  std::size_t size = 0;
  for (const Segment& part : unit.segments) size += part.text.size();
  for (std::size_t i = unit.first_text; i < unit.end_text && unit.segments.empty(); ++i) {
    size += texts[i].size();
  }
  return size;
}

std::vector<std::size_t> PipelineTokenizer::encode_unit(const WorkUnit& unit,
                                                        std::span<const std::string_view> texts,
                                                        const EncodeOptions& options,
                                                        Scratch& scratch, IdBuffer& ids) const {
  std::vector<std::size_t> ends;
  if (!unit.segments.empty()) {
    for (const Segment& part : unit.segments) encode_segment(part, scratch, ids);
    ends.push_back(ids.size());
    return ends;
  }
  for (std::size_t i = unit.first_text; i < unit.end_text; ++i) {
    encode_text(texts[i], options, scratch, ids);
    ends.push_back(ids.size());
  }
  return ends;
}

EncodedBatch PipelineTokenizer::encode_batch(std::span<const std::string_view> texts,
                                             const EncodeOptions& options, int threads) const {
  std::deque<Segments> long_texts;
  const std::vector<WorkUnit> units = plan(texts, options, long_texts);
  EncodedBatch batch;
  batch.texts.resize(texts.size());
  std::vector<std::span<const TokenId>> parts(units.size());
  std::mutex blocks_mutex;
  const auto keep = [&](IdBlock block) {
    const std::lock_guard lock(blocks_mutex);
    batch.blocks.push_back(std::move(block));
  };
  WorkQueue queue(units.size());
  run_parallel(queue, threads, [&](WorkQueue& work) {
    const auto scratch = scratch_.borrow();
    // Units write one after the other into a block that has room for the most ids there can be.
    TokenId* room = nullptr;
    std::size_t room_size = 0;
    while (const auto u = work.take()) {
      const std::size_t most = size_of(units[*u], texts) + kRoomSlack;
      if (room_size < most) {
        room_size = std::max(most, kBlockSize);
        IdBlock block = allocate_ids(room_size);
        room = block.get();
        keep(std::move(block));
      }
      IdBuffer ids(room, room_size);
      const std::vector<std::size_t> ends = encode_unit(units[*u], texts, options, *scratch, ids);
      parts[*u] = ids.ids();
      if (IdBlock grown = ids.release()) {
        keep(std::move(grown));
      } else {
        room += ids.size();
        room_size -= ids.size();
      }
      std::size_t begin = 0;
      for (std::size_t i = 0; i < ends.size() && units[*u].segments.empty(); ++i) {
        batch.texts[units[*u].first_text + i] = parts[*u].subspan(begin, ends[i] - begin);
        begin = ends[i];
      }
    }
  });
  // Join the parts of long texts.
  for (std::size_t first = 0; first < units.size(); ++first) {
    if (units[first].segments.empty()) continue;
    IdBuffer whole;
    if (options.add_special_tokens) append(pipeline_.post_processor.before, whole);
    std::size_t end = first;
    for (; end < units.size() && units[end].first_text == units[first].first_text; ++end) {
      append(parts[end], whole);
    }
    if (options.add_special_tokens) append(pipeline_.post_processor.after, whole);
    batch.texts[units[first].first_text] = whole.ids();
    batch.blocks.push_back(whole.release());
    first = end - 1;
  }
  return batch;
}

}  // namespace tigerbot
