#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "infer/sentence_embedder.h"

namespace tigerbot::serve {

/// A sentence encoder with a thread of its own.
class EmbeddingModel {
 public:
  EmbeddingModel(std::string name, const std::filesystem::path& path,
                 std::optional<at::ScalarType> dtype, at::Device device, std::size_t max_waiting);
  ~EmbeddingModel();
  EmbeddingModel(const EmbeddingModel&) = delete;
  EmbeddingModel& operator=(const EmbeddingModel&) = delete;

  const std::string& name() const { return name_; }
  const SentenceEmbedder& embedder() const { return embedder_; }
  std::int64_t created() const { return created_; }

  struct Result {
    std::vector<std::vector<float>> vectors;
    std::string error;  ///< empty: none
  };

  /// Computes the vectors of tokenized texts, later; false if too many requests wait. `done` is
  /// called on this model's thread.
  bool submit(std::vector<std::vector<TokenId>> texts, std::function<void(Result)> done);

 private:
  struct Job {
    std::vector<std::vector<TokenId>> texts;
    std::function<void(Result)> done;
  };

  void work();

  std::string name_;
  SentenceEmbedder embedder_;
  std::size_t max_waiting_;
  std::int64_t created_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tigerbot::serve
