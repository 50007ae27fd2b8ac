#include "quant/layered_model.h"

#include <utility>

#include "model/bert_encoder.h"
#include "model/decoder.h"

namespace tigerbot::quant {
namespace {

class LayeredDecoder : public LayeredModel {
 public:
  explicit LayeredDecoder(std::unique_ptr<Decoder> decoder) : decoder_(std::move(decoder)) {}

  const ModelConfig& config() const override { return decoder_->config(); }
  std::vector<Parameter> parameters() override { return decoder_->parameters(); }
  std::vector<Linear*> linears() override { return decoder_->linears(); }
  std::string block_name(std::int64_t block) const override { return decoder_->block_name(block); }
  at::Tensor embed(const at::Tensor& ids, const Sequences&) const override {
    return decoder_->embed(ids);
  }
  at::Tensor run_block(std::int64_t block, const at::Tensor& x,
                       const Sequences& sequences) const override {
    return decoder_->run_block(block, x, sequences);
  }

 private:
  std::unique_ptr<Decoder> decoder_;
};

class LayeredEncoder : public LayeredModel {
 public:
  explicit LayeredEncoder(const ModelConfig& config) : encoder_(config) {}

  const ModelConfig& config() const override { return encoder_.config(); }
  std::vector<Parameter> parameters() override { return encoder_.parameters(); }
  std::vector<Linear*> linears() override { return encoder_.linears(); }
  std::string block_name(std::int64_t block) const override { return encoder_.block_name(block); }
  at::Tensor embed(const at::Tensor& ids, const Sequences& sequences) const override {
    return encoder_.embed(ids, sequences);
  }
  at::Tensor run_block(std::int64_t block, const at::Tensor& x,
                       const Sequences& sequences) const override {
    return encoder_.run_block(block, x, sequences);
  }

 private:
  BertEncoder encoder_;
};

}  // namespace

std::unique_ptr<LayeredModel> make_empty_model(const ModelConfig& config) {
  if (config.family == ModelConfig::Family::kBert) return std::make_unique<LayeredEncoder>(config);
  return std::make_unique<LayeredDecoder>(make_empty_decoder(config));
}

}  // namespace tigerbot::quant
