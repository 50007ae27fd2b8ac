#include "ops/step_product.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "ops/cpu/packed_product.h"
#include "ops/quantized_product.h"

namespace tigerbot::ops {
namespace {

/// Rows whose 32-bit words are those of a and of b in turn: packed, both are one stream.
at::Tensor interleaved(const at::Tensor& a, const at::Tensor& b) {
  const std::int64_t elements = a.scalar_type() == at::kBFloat16 ? 2 : 1;
  const std::int64_t words = (a.size(1) + elements - 1) / elements;
  at::Tensor both = at::zeros({a.size(0), words, 2, elements}, a.options());
  const auto place = [&](const at::Tensor& from, std::int64_t side) {
    at::Tensor whole = at::zeros({a.size(0), words * elements}, a.options());
    whole.narrow(1, 0, from.size(1)).copy_(from);
    both.select(2, side).copy_(whole.unflatten(1, {words, elements}));
  };
  place(a, 0);
  place(b, 1);
  return both.flatten(1);
}

/// The part of `panels` in a stream's units: as many for each thread as a dense product has.
std::int64_t units_of(std::int64_t panels, std::int64_t all_panels, std::int64_t threads) {
  return std::max<std::int64_t>(1, 4 * threads * panels / all_panels);
}

}  // namespace

StepProduct StepProduct::joined(const char* name, const std::vector<LayerWeight>& weights) {
  StepProduct product;
  product.name_ = name;
  std::vector<at::Tensor> dense;
  for (const LayerWeight& weight : weights) {
    product.columns_ += weight.out_features();
    if (weight.quantized.defined()) {
      product.parts_.push_back(weight.quantized);
    } else {
      dense.push_back(weight.dense);
    }
  }
  if (!dense.empty()) product.dense_ = PackedWeight(dense.size() == 1 ? dense[0] : at::cat(dense));
  product.finish();
  return product;
}

StepProduct StepProduct::gated(const char* name, const LayerWeight& gate, const LayerWeight& up) {
  StepProduct product;
  product.name_ = name;
  product.gated_ = true;
  product.columns_ = gate.out_features();
  if (gate.quantized.defined()) {
    product.parts_ = {gate.quantized, up.quantized};
  } else {
    product.dense_ = PackedWeight(interleaved(gate.dense, up.dense));
  }
  product.finish();
  return product;
}

void StepProduct::finish() {
  if (dense_.defined()) bytes_ = dense_.panels() * 16 * dense_.words() * 4;
  for (const QuantizedWeight& part : parts_) {
    bytes_ += static_cast<std::int64_t>(part.bytes());
    const auto found = std::find(forms_.begin(), forms_.end(), part.input_form());
    part_forms_.push_back(static_cast<std::size_t>(found - forms_.begin()));
    if (found == forms_.end()) forms_.push_back(part.input_form());
  }
}

std::int64_t StepProduct::rounded_bytes(std::int64_t rows) const {
  std::int64_t bytes = 0;
  for (const InputForm& form : forms_) bytes += RoundedBuffer(form, rows).bytes();
  return bytes;
}

std::vector<cpu::RoundedRows> StepProduct::places(std::int64_t rows, std::byte* memory) const {
  std::vector<cpu::RoundedRows> result;
  for (const InputForm& form : forms_) {
    const RoundedBuffer buffer(form, rows);
    result.push_back(buffer.place(memory));
    memory += buffer.bytes();
  }
  return result;
}

void StepProduct::round(const std::byte* x, std::int64_t row, std::int64_t rows,
                        std::byte* memory) const {
  for (const InputForm& form : forms_) {
    const RoundedBuffer buffer(form, rows);
    form.round(x, buffer.place(memory).from(row));
    memory += buffer.bytes();
  }
}

void StepProduct::run(cpu::CrewMember& member, const cpu::LinearKernels& kernels, const Rows& x,
                      std::int64_t rows, std::int64_t threads, const cpu::ProductOutput& output,
                      std::byte* rounded) const {
  if (!quantized()) {
    const std::int64_t words = gated_ ? dense_.words() / 2 : dense_.words();
    const cpu::PackedProduct product{&kernels, static_cast<const char*>(dense_.data()), words,
                                     columns_, x.size};
    const cpu::Partition partition(rows, dense_.panels(), threads);
    member.phase(partition.units(), [&](std::int64_t unit) {
      if (gated_) {
        product.run_swiglu(x.base, x.words(), partition.tile(unit), output);
      } else {
        product.run(x.base, x.words(), partition.tile(unit), output);
      }
    });
    return;
  }
  const std::vector<cpu::RoundedRows> in = places(rows, rounded);
  WholeOutput whole;
  whole.output = output;
  whole.columns = columns_;
  whole.kernels = &kernels;
  if (gated_) {
    const QuantizedPartition partition(rows, parts_[0].panels(), threads, 4 * threads);
    member.phase(partition.units(), [&](std::int64_t unit) {
      multiply_swiglu_tile(parts_[0], in[part_forms_[0]], parts_[1], in[part_forms_[1]],
                           partition.tile(unit), whole);
    });
    return;
  }
  std::int64_t panels = 0;
  for (const QuantizedWeight& part : parts_) panels += part.panels();
  std::vector<QuantizedPartition> partitions;
  std::vector<WholeOutput> outputs;
  std::vector<std::int64_t> ends;  // of each part's units
  std::int64_t column = 0, units = 0;
  for (const QuantizedWeight& part : parts_) {
    partitions.emplace_back(rows, part.panels(), threads, units_of(part.panels(), panels, threads));
    units += partitions.back().units();
    ends.push_back(units);
    WholeOutput& own = outputs.emplace_back(whole);
    own.output = whole.at(0, column);
    own.columns = part.out_features();
    column += part.out_features();
  }
  member.phase(units, [&](std::int64_t unit) {
    const auto part =
        static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), unit) - ends.begin());
    const std::int64_t first = part == 0 ? 0 : ends[part - 1];
    multiply_tile(parts_[part], in[part_forms_[part]], partitions[part].tile(unit - first),
                  outputs[part]);
  });
}

}  // namespace tigerbot::ops
