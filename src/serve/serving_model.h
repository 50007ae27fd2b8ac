#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infer/engine.h"
#include "infer/engine_thread.h"
#include "infer/language_model.h"
#include "serve/api/generation_fields.h"
#include "serve/api/tool_calls.h"
#include "serve/metrics.h"
#include "train/lora.h"

namespace tigerbot::serve {

/// A model to serve, and under which name.
struct ModelEntry {
  std::string name;
  std::filesystem::path path;
  /// A LoRA adapter in PEFT's layout; empty: none.
  std::filesystem::path adapter{};
  std::string parent{};  ///< with an adapter: the name of the model without it
};

struct ServingModelOptions {
  std::optional<at::ScalarType> dtype;
  at::Device device = at::kCPU;
  EngineOptions engine;
  std::int64_t max_new_tokens = 0;  ///< most that a request may ask for; 0: what the context holds
  /// Where a request says nothing; nothing: the model's own.
  std::optional<double> temperature, top_p;
};

/// A model with its engine, running. With an adapter it is a model of its own: dense weights are
/// mapped once for all, the key/value cache is not shared.
class ServingModel {
 public:
  ServingModel(const ModelEntry& entry, const ServingModelOptions& options);

  const std::string& name() const { return name_; }
  LanguageModel& model() { return *model_; }
  const Tokenizer& tokenizer() const { return model_->tokenizer(); }
  EngineThread& engine() { return *thread_; }
  const Engine& checks() const { return *engine_; }
  const ModelLimits& limits() const { return limits_; }
  const ToolTemplate& tool_template() const { return tool_template_; }
  ModelMetrics& metrics() { return metrics_; }
  /// The model whose adapter this is; empty for a model without one.
  const std::string& parent() const { return parent_; }
  ConstraintCompiler& constraints() const { return model_->constraints(); }
  std::int64_t created() const { return created_; }

  /// Has the engine make what it makes at its first step (packed weights), before anyone waits.
  void warm_up();

  /// The ids of a conversation through the model's template. An ApiError for what the template
  /// refuses.
  std::vector<TokenId> encode_chat(const OrderedJson& messages, const OrderedJson& tools,
                                   const OrderedJson& variables, bool add_generation_prompt) const;

 private:
  std::string name_;
  std::unique_ptr<LanguageModel> model_;
  std::unique_ptr<Engine> engine_;
  ModelLimits limits_;
  ToolTemplate tool_template_;
  ModelMetrics metrics_;
  std::unique_ptr<train::LoraAdapters> adapter_;
  std::int64_t created_ = 0;
  std::string parent_;
  std::unique_ptr<EngineThread> thread_;  // last: ends first
};

}  // namespace tigerbot::serve
