#include "infer/engine_thread.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <thread>

#include "infer/tiny_model.h"

namespace tigerbot {
namespace {

GenerationRequest request_of(std::string_view prompt, std::int64_t max_new_tokens) {
  GenerationRequest request;
  request.prompt = CharacterTokenizer().encode(prompt);
  request.max_new_tokens = max_new_tokens;
  return request;
}

class OfAThread : public testing::Test {
 protected:
  std::unique_ptr<Decoder> decoder_ = tiny_decoder();
  CharacterTokenizer tokenizer_;
};

TEST_F(OfAThread, AnswersManyCallersAsOne) {
  Engine alone(*decoder_, tokenizer_, {});
  std::map<std::string, std::string> expected;
  for (char c = 'a'; c < 'm'; ++c) {
    const std::string prompt(4, c);
    alone.submit(request_of(prompt, 12),
                 [&, prompt](const GenerationUpdate& update) { expected[prompt] += update.text; });
  }
  alone.run();

  Engine shared(*decoder_, tokenizer_, {});
  EngineThread thread(shared);
  std::vector<std::thread> callers;
  std::mutex mutex;
  std::map<std::string, std::string> answers;
  for (char c = 'a'; c < 'm'; ++c) {
    callers.emplace_back([&, c] {
      const std::string prompt(4, c);
      std::promise<std::string> promise;
      std::string text;
      thread.submit(request_of(prompt, 12), [&](const GenerationUpdate& update) {
        text += update.text;
        if (update.finished) promise.set_value(text);
      });
      const std::string answer = promise.get_future().get();
      const std::lock_guard lock(mutex);
      answers[prompt] = answer;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(answers, expected);
  EXPECT_TRUE(thread.drain(std::chrono::seconds(60)));
  EXPECT_EQ(thread.statistics().finished, 12);
  EXPECT_EQ(thread.statistics().free_blocks, thread.statistics().num_blocks);
}

TEST_F(OfAThread, RefusesInTheCallersThread) {
  Engine engine(*decoder_, tokenizer_, {});
  EngineThread thread(engine);
  EXPECT_THROW(thread.submit(request_of("", 1), nullptr), Error);
  thread.drain(std::chrono::seconds(60));
  EXPECT_THROW(thread.submit(request_of("abc", 1), nullptr), QueueFullError);
}

TEST_F(OfAThread, ACancelledRequestEnds) {
  EngineOptions options;
  options.max_sequences = 1;
  Engine engine(*decoder_, tokenizer_, options);
  EngineThread thread(engine);
  std::promise<void> begun;
  std::promise<FinishReason> ended;
  std::promise<FinishReason> waiting_ended;
  bool told = false;
  const std::int64_t id =
      thread.submit(request_of("abc", 120), [&](const GenerationUpdate& update) {
        if (!std::exchange(told, true)) {
          begun.set_value();
          thread.run_later([](Engine&) {});  // from a listener, too
        }
        if (update.finished) ended.set_value(update.reason);
      });
  const std::int64_t waits =
      thread.submit(request_of("abc", 120), [&](const GenerationUpdate& update) {
        if (update.finished) waiting_ended.set_value(update.reason);
      });
  begun.get_future().wait();
  thread.cancel(waits);
  EXPECT_EQ(waiting_ended.get_future().get(), FinishReason::kCancelled);
  thread.cancel(id);
  const FinishReason reason = ended.get_future().get();
  EXPECT_TRUE(reason == FinishReason::kCancelled || reason == FinishReason::kLength);
}

TEST_F(OfAThread, RunsFunctionsBetweenSteps) {
  Engine engine(*decoder_, tokenizer_, {});
  EngineThread thread(engine);
  std::int64_t blocks = 0;
  thread.run([&](Engine& inner) { blocks = inner.statistics().num_blocks; });
  EXPECT_EQ(blocks, 256);
  EXPECT_THROW(thread.run([](Engine&) { fail("no"); }), Error);
}

TEST_F(OfAThread, CancelsWhatIsLeftAtItsEnd) {
  Engine engine(*decoder_, tokenizer_, {});
  std::map<FinishReason, int> reasons;
  {
    EngineThread thread(engine);
    for (int i = 0; i < 200; ++i) {
      thread.submit(request_of("abc", 120), [&](const GenerationUpdate& update) {
        if (update.finished) ++reasons[update.reason];
      });
    }
  }
  EXPECT_GT(reasons[FinishReason::kCancelled], 0);
  EXPECT_EQ(reasons[FinishReason::kCancelled] + reasons[FinishReason::kLength], 200);
  EXPECT_EQ(engine.statistics().free_blocks, engine.statistics().num_blocks);
}

TEST_F(OfAThread, DrainingCancelsWhatTakesTooLong) {
  Engine engine(*decoder_, tokenizer_, {});
  EngineThread thread(engine);
  std::atomic<int> ended = 0;
  for (int i = 0; i < 100; ++i) {
    thread.submit(request_of("abc", 120),
                  [&](const GenerationUpdate& update) { ended += update.finished; });
  }
  thread.drain(std::chrono::milliseconds(0));
  EXPECT_EQ(ended, 100);
}

}  // namespace
}  // namespace tigerbot
