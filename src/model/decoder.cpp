#include "model/decoder.h"

#include "base/error.h"
#include "model/bloom_decoder.h"
#include "model/llama_decoder.h"

namespace tigerbot {
namespace {

std::unique_ptr<Decoder> empty_decoder(const ModelConfig& config) {
  switch (config.family) {
    case ModelConfig::Family::kLlama:
      return std::make_unique<LlamaDecoder>(config);
    case ModelConfig::Family::kBloom:
      return std::make_unique<BloomDecoder>(config);
    case ModelConfig::Family::kBert:
      break;
  }
  fail("a {} model is an encoder and writes no text; use it with `tigerbot embed`",
       config.model_type);
}

}  // namespace

std::unique_ptr<Decoder> make_decoder(const ModelConfig& config, const TensorSource& source,
                                      at::ScalarType dtype, at::Device device) {
  std::unique_ptr<Decoder> decoder = empty_decoder(config);
  load_parameters(decoder->parameters(), source, dtype, device);
  return decoder;
}

}  // namespace tigerbot
