#include "serve/embedding_model.h"

#include <ctime>

namespace tigerbot::serve {

EmbeddingModel::EmbeddingModel(std::string name, const std::filesystem::path& path,
                               std::optional<at::ScalarType> dtype, at::Device device,
                               std::size_t max_waiting)
    : name_(std::move(name)),
      embedder_(path, dtype, device),
      max_waiting_(max_waiting),
      created_(std::time(nullptr)),
      thread_([this] { work(); }) {}

EmbeddingModel::~EmbeddingModel() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  news_.notify_all();
  thread_.join();
}

bool EmbeddingModel::submit(std::vector<std::vector<TokenId>> texts,
                            std::function<void(Result)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (max_waiting_ > 0 && jobs_.size() >= max_waiting_) return false;
    jobs_.push_back({std::move(texts), std::move(done)});
  }
  news_.notify_one();
  return true;
}

void EmbeddingModel::work() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      news_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    Result result;
    try {
      const at::Tensor vectors = embedder_.embed_tokens(job.texts);
      const float* values = vectors.data_ptr<float>();
      const auto width = static_cast<std::size_t>(vectors.size(1));
      for (std::size_t i = 0; i < job.texts.size(); ++i) {
        result.vectors.emplace_back(values + i * width, values + (i + 1) * width);
      }
    } catch (const std::exception& error) {
      result.error = error.what();
    }
    job.done(std::move(result));
  }
}

}  // namespace tigerbot::serve
