#include "model/decoder.h"

#include "base/error.h"
#include "model/bloom_decoder.h"
#include "model/llama_decoder.h"

namespace tigerbot {

std::unique_ptr<Decoder> make_empty_decoder(const ModelConfig& config) {
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

std::unique_ptr<Decoder> make_decoder(const ModelConfig& config, const TensorSource& source,
                                      at::ScalarType dtype, at::Device device,
                                      const QuantizedSource& quantized) {
  std::unique_ptr<Decoder> decoder = make_empty_decoder(config);
  if (quantized && device.is_cpu()) {
    for (Linear* linear : decoder->linears()) {
      ops::QuantizedWeight weight =
          quantized(linear->name() + ".weight", {linear->out_features(), linear->in_features()});
      if (weight.defined()) linear->set_quantized(std::move(weight));
    }
    decoder->set_quantized_output(
        quantized(decoder->output_name(), {config.vocab_size, config.hidden_size}));
  }
  load_parameters(decoder->parameters(), source, dtype, device);
  return decoder;
}

}  // namespace tigerbot
