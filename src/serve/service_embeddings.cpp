#include <cmath>
#include <cstring>

#include "base/error.h"
#include "serve/service.h"

namespace tigerbot::serve {

namespace {

constexpr std::size_t kMaxInputs = 2048;

std::string base64(const std::vector<float>& values) {
  static_assert(sizeof(float) == 4);
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += i + k > bytes.size() ? '=' : kAlphabet[group >> (18 - 6 * k) & 63U];
    }
  }
  return text;
}

void normalize(std::vector<float>& vector) {
  double sum = 0;
  for (const float value : vector) sum += static_cast<double>(value) * value;
  if (sum == 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(sum));
  for (float& value : vector) value *= scale;
}

struct EmbeddingRequest {
  std::string model;
  bool base64 = false;
  std::vector<std::vector<TokenId>> texts;

  std::int64_t tokens() const {
    std::int64_t total = 0;
    for (const auto& text : texts) total += static_cast<std::int64_t>(text.size());
    return total;
  }
};

/// Waits for vectors, whoever makes them.
class EmbeddingAnswer : public PendingAnswer {
 public:
  EmbeddingAnswer(EmbeddingRequest request, std::shared_ptr<ApiKey> key,
                  std::shared_ptr<AnswerSummary> summary)
      : request_(std::move(request)), key_(std::move(key)), summary_(std::move(summary)) {}
  ~EmbeddingAnswer() override {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->notify = nullptr;
  }

  void start(std::function<void()> notify) override {
    inbox_->notify = std::move(notify);
    inbox_->vectors.resize(request_.texts.size());
    inbox_->left = request_.texts.size();
    try {
      begin();
    } catch (const Error& error) {
      const bool full = dynamic_cast<const QueueFullError*>(&error) != nullptr;
      inbox_->fail(full ? 503 : 400, error.what());
    }
  }

  News poll() override {
    News news;
    const std::lock_guard lock(inbox_->mutex);
    if (inbox_->error) {
      news.head = error_response(*inbox_->error);
      news.body = news.head->body;
      news.ended = true;
    } else if (inbox_->left == 0) {
      news.head.emplace();
      news.body = body();
      news.ended = true;
      const std::int64_t tokens = request_.tokens();
      if (key_) key_->charge_tokens(tokens, Allowance::Clock::now());
      const std::lock_guard summary_lock(summary_->mutex);
      summary_->usage.prompt_tokens = tokens;
    }
    return news;
  }

 protected:
  struct Inbox {
    std::mutex mutex;
    std::function<void()> notify;
    std::vector<std::vector<float>> vectors;
    std::size_t left = 0;
    std::optional<ApiError> error;

    void put(std::size_t index, std::vector<float> vector) {
      const std::lock_guard lock(mutex);
      vectors[index] = std::move(vector);
      if (--left == 0 && notify) notify();
    }
    void fail(int status, const std::string& message) {
      const std::lock_guard lock(mutex);
      if (!error) error = plain_error(status, message);
      if (notify) notify();
    }
  };

  /// Sets the work off. May throw an Error.
  virtual void begin() = 0;

  EmbeddingRequest request_;
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();

 private:
  std::string body() {
    OrderedJson answer = {
        {"object", "list"}, {"data", OrderedJson::array()}, {"model", request_.model}};
    for (std::size_t i = 0; i < inbox_->vectors.size(); ++i) {
      std::vector<float>& vector = inbox_->vectors[i];
      normalize(vector);
      OrderedJson value = request_.base64 ? OrderedJson(base64(vector)) : OrderedJson(vector);
      answer["data"].push_back(
          {{"object", "embedding"}, {"index", i}, {"embedding", std::move(value)}});
    }
    const std::int64_t tokens = request_.tokens();
    answer["usage"] = {{"prompt_tokens", tokens}, {"total_tokens", tokens}};
    return answer.dump();
  }

  std::shared_ptr<ApiKey> key_;
  std::shared_ptr<AnswerSummary> summary_;
};

/// By a sentence encoder.
class EncoderAnswer : public EmbeddingAnswer {
 public:
  EncoderAnswer(std::shared_ptr<EmbeddingModel> model, EmbeddingRequest request,
                std::shared_ptr<ApiKey> key, std::shared_ptr<AnswerSummary> summary)
      : EmbeddingAnswer(std::move(request), std::move(key), std::move(summary)),
        model_(std::move(model)) {}

 private:
  void begin() override {
    const bool taken =
        model_->submit(request_.texts, [inbox = inbox_](EmbeddingModel::Result result) {
          if (!result.error.empty()) {
            inbox->fail(500, result.error);
            return;
          }
          for (std::size_t i = 0; i < result.vectors.size(); ++i) {
            inbox->put(i, std::move(result.vectors[i]));
          }
        });
    if (!taken) throw QueueFullError("too many requests wait; try again later");
  }

  std::shared_ptr<EmbeddingModel> model_;
};

/// By the mean of a decoder's final hidden states.
class DecoderAnswer : public EmbeddingAnswer {
 public:
  DecoderAnswer(std::shared_ptr<ServingModel> model, std::string client, EmbeddingRequest request,
                std::shared_ptr<ApiKey> key, std::shared_ptr<AnswerSummary> summary)
      : EmbeddingAnswer(std::move(request), std::move(key), std::move(summary)),
        model_(std::move(model)),
        client_(std::move(client)) {}
  ~DecoderAnswer() override {
    for (const std::int64_t id : ids_) model_->engine().cancel(id);
  }

 private:
  void begin() override {
    for (std::size_t i = 0; i < request_.texts.size(); ++i) {
      GenerationRequest one;
      one.prompt = request_.texts[i];
      one.max_new_tokens = 1;
      one.client = client_;
      one.embedding = Pooling::kMean;
      ids_.push_back(model_->engine().submit(
          std::move(one), [inbox = inbox_, i](const GenerationUpdate& update) {
            if (!update.finished) return;
            if (!update.embedding.empty()) {
              inbox->put(i, update.embedding);
            } else {
              const bool late = update.reason == FinishReason::kTimeout;
              inbox->fail(update.reason == FinishReason::kError ? 500 : 503,
                          late                   ? "the request waited too long; try again later"
                          : update.error.empty() ? "the server is shutting down"
                                                 : update.error);
            }
          }));
    }
  }

  std::shared_ptr<ServingModel> model_;
  std::string client_;
  std::vector<std::int64_t> ids_;
};

std::vector<TokenId> read_ids(const OrderedJson& list, std::int64_t vocabulary) {
  std::vector<TokenId> ids;
  for (const OrderedJson& id : list) {
    if (!id.is_number_integer() || id.get<double>() < 0 ||
        id.get<double>() >= static_cast<double>(vocabulary)) {
      refuse_parameter("input", "'input' has something that is no token id below {}", vocabulary);
    }
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

std::vector<std::vector<TokenId>> read_inputs(
    const OrderedJson& input, std::int64_t vocabulary,
    const std::function<std::vector<TokenId>(const std::string&)>& encode) {
  std::vector<std::vector<TokenId>> texts;
  if (input.is_string()) {
    texts.push_back(encode(input.get<std::string>()));
  } else if (input.is_array() && !input.empty() && input.front().is_number()) {
    texts.push_back(read_ids(input, vocabulary));
  } else if (input.is_array() && !input.empty()) {
    if (input.size() > kMaxInputs) {
      refuse_parameter("input", "'input' may be {} texts at most", kMaxInputs);
    }
    for (const OrderedJson& one : input) {
      if (one.is_string()) {
        texts.push_back(encode(one.get<std::string>()));
      } else if (one.is_array()) {
        texts.push_back(read_ids(one, vocabulary));
      } else {
        refuse_parameter("input", "'input' must hold strings or arrays of token ids");
      }
    }
  } else {
    refuse_parameter("input", "'input' must be a string, an array of strings, or token ids");
  }
  return texts;
}

}  // namespace

Reply Service::embeddings(const HttpRequest& request) {
  const OrderedJson body = parse_body(request.body);
  Fields fields(body);
  const auto name = fields.text("model");
  std::shared_ptr<EmbeddingModel> encoder;
  for (const auto& model : embedding_models_) {
    if (!encoder && (!name || *name == model->name())) encoder = model;
  }
  std::shared_ptr<ServingModel> found;
  if (!encoder) found = find_model(fields);

  EmbeddingRequest wanted;
  wanted.model = encoder ? encoder->name() : found->name();
  const std::string format = fields.text("encoding_format").value_or("float");
  if (format != "float" && format != "base64") {
    refuse_parameter("encoding_format", "'encoding_format' must be float or base64");
  }
  wanted.base64 = format == "base64";
  const std::int64_t width =
      encoder ? encoder->embedder().dimension() : found->model().files().config.hidden_size;
  if (fields.integer("dimensions", 1, 1 << 20).value_or(width) != width) {
    refuse_unsupported("dimensions", fmt::format("this model's vectors have {}", width));
  }
  const std::string user = fields.text("user").value_or("");
  const std::int64_t vocabulary =
      encoder ? encoder->embedder().tokenizer().size() : found->limits().vocab_size;
  wanted.texts = read_inputs(fields.get("input"), vocabulary, [&](const std::string& text) {
    return encoder ? encoder->embedder().encode(text) : found->tokenizer().encode(text);
  });
  fields.finish();
  const std::int64_t longest =
      encoder ? encoder->embedder().max_tokens() : found->limits().context_length - 1;
  for (const auto& text : wanted.texts) {
    if (text.empty()) refuse_parameter("input", "'input' must not be empty");
    const auto tokens = static_cast<std::int64_t>(text.size());
    if (longest > 0 && tokens > longest) {
      throw ApiError(400, "invalid_request_error",
                     fmt::format("this model takes {} tokens and a text has {}", longest, tokens),
                     "input", "context_length_exceeded");
    }
  }
  const auto key = key_of(request);
  auto summary = summarize(request, wanted.model);
  summary->key = key ? key->name() : "";
  if (options_.log_prompts) summary->prompt = body["input"].dump();
  if (encoder) {
    return std::make_unique<EncoderAnswer>(encoder, std::move(wanted), key, std::move(summary));
  }
  const std::string owner = key ? key->name() : request.client;
  return std::make_unique<DecoderAnswer>(found, user.empty() ? owner : owner + "/" + user,
                                         std::move(wanted), key, std::move(summary));
}

}  // namespace tigerbot::serve
