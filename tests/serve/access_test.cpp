#include <gtest/gtest.h>

#include "base/files.h"
#include "serve/served_model.h"

namespace tigerbot::serve {
namespace {

using Json = nlohmann::json;

struct Keys {
  testing::ScratchFolder folder;
  std::string open, limited;
  std::shared_ptr<const KeyRing> ring;

  Keys() {
    open = add_key(folder / "keys.toml", "open", {});
    limited = add_key(folder / "keys.toml", "limited",
                      {.requests_per_minute = 2, .tokens_per_minute = 0});
    ring = std::make_shared<KeyRing>(KeyRing::read(folder / "keys.toml"));
  }
};

const Json kShort = {{"messages", {{{"role", "user"}, {"content", "secret words"}}}},
                     {"max_tokens", 2}};

std::pair<std::string, std::string> bearer(const std::string& key) {
  return {"Authorization", "Bearer " + key};
}

TEST(Access, NeedsAKeyWhereThereAreKeys) {
  const Keys keys;
  ServedModel::Options options;
  options.keys = keys.ring;
  ServedModel served(options);
  const auto status = [&](std::vector<std::pair<std::string, std::string>> headers) {
    return post(served.port(), "/v1/chat/completions", kShort, headers).status;
  };
  EXPECT_EQ(status({bearer(keys.open)}), 200);
  EXPECT_EQ(status({}), 401);
  EXPECT_EQ(status({bearer("tb-wrong")}), 401);
  EXPECT_EQ(status({bearer("")}), 401);
  EXPECT_EQ(status({{"Authorization", keys.open}}), 401);
  EXPECT_EQ(request(served.port(), "GET", "/v1/models").status, 401);
  EXPECT_EQ(request(served.port(), "GET", "/metrics").status, 401);
  EXPECT_EQ(request(served.port(), "GET", "/health").status, 200);
  EXPECT_EQ(request(served.port(), "GET", "/ready").status, 200);
  EXPECT_EQ(request(served.port(), "GET", "/").status, 200);
}

TEST(Access, AKeyMayAskSoOften) {
  const Keys keys;
  ServedModel::Options options;
  options.keys = keys.ring;
  ServedModel served(options);
  for (int i = 0; i < 2; ++i) {
    const ClientAnswer answer =
        post(served.port(), "/v1/chat/completions", kShort, {bearer(keys.limited)});
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("x-ratelimit-limit-requests"), "2");
    EXPECT_EQ(answer.header("x-ratelimit-remaining-requests"), std::to_string(1 - i));
  }
  const ClientAnswer refused =
      post(served.port(), "/v1/chat/completions", kShort, {bearer(keys.limited)});
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.json()["error"]["code"], "rate_limit_exceeded");
  EXPECT_GE(std::stoi(refused.header("retry-after")), 1);
  EXPECT_EQ(post(served.port(), "/v1/chat/completions", kShort, {bearer(keys.open)}).status, 200);
}

TEST(Access, OnlyKnownHostsAndOriginsGetIn) {
  ServedModel::Options options;
  options.service.cors_origins = {"https://good.example"};
  ServedModel served(options);
  const auto get = [&](const std::string& host, const std::string& origin) {
    RawClient client(served.port());
    client.send("GET /v1/models HTTP/1.1\r\nConnection: close\r\nHost: " + host + "\r\n" +
                (origin.empty() ? "" : "Origin: " + origin + "\r\n") + "\r\n");
    return parse_answer(client.receive_all());
  };
  EXPECT_EQ(get("localhost:1", "").status, 200);
  EXPECT_EQ(get("127.0.0.1", "").status, 200);
  EXPECT_EQ(get("[::1]:80", "").status, 200);
  EXPECT_EQ(get("evil.example", "").status, 421);
  EXPECT_EQ(get("localhost.evil.example", "").status, 421);
  EXPECT_EQ(get("localhost:80", "http://localhost:80").status, 200);
  EXPECT_EQ(get("localhost:80", "http://evil.example").status, 403);
  EXPECT_EQ(get("localhost:80", "null").status, 403);
  const ClientAnswer good = get("localhost", "https://good.example");
  EXPECT_EQ(good.status, 200);
  EXPECT_EQ(good.header("access-control-allow-origin"), "https://good.example");
  const ClientAnswer preflight = request(served.port(), "OPTIONS", "/v1/chat/completions", "",
                                         {{"Origin", "https://good.example"}});
  EXPECT_EQ(preflight.status, 204);
  EXPECT_NE(preflight.header("access-control-allow-headers").find("authorization"),
            std::string::npos);
}

TEST(Access, TheLogSaysWhoAndHowMuchButNotWhat) {
  for (const bool with_prompts : {false, true}) {
    const testing::ScratchFolder folder;
    ServedModel::Options options;
    options.access_log = folder / "log";
    options.service.log_prompts = with_prompts;
    {
      ServedModel served(options);
      EXPECT_EQ(
          post(served.port(), "/v1/chat/completions", kShort, {{"X-Request-Id", "r1"}}).status,
          200);
    }
    const std::string text = read_file(folder / "log");
    const Json line = Json::parse(text.substr(0, text.find('\n')));
    EXPECT_EQ(line["request_id"], "r1");
    EXPECT_EQ(line["status"], 200);
    EXPECT_EQ(line["model"], "tiny");
    EXPECT_EQ(line["completion_tokens"], 2);
    EXPECT_EQ(text.find("secret words") != std::string::npos, with_prompts);
    EXPECT_EQ(line.contains("text"), with_prompts);
  }
}

TEST(Access, DrainingRefusesNewWorkAndSaysSo) {
  ServedModel served;
  EXPECT_EQ(request(served.port(), "GET", "/ready").status, 200);
  served.service().set_draining();
  EXPECT_EQ(request(served.port(), "GET", "/ready").status, 503);
  EXPECT_EQ(request(served.port(), "GET", "/health").status, 200);
  EXPECT_EQ(post(served.port(), "/v1/chat/completions", kShort).json()["error"]["code"],
            "shutting_down");
}

TEST(Access, MetricsCountWhatHappened) {
  ServedModel served;
  served.service().models().front()->warm_up();
  served.wait_until_idle();
  for (const char* name : {"tigerbot_requests_total", "tigerbot_answers_finished_total",
                           "tigerbot_prompt_tokens_total", "tigerbot_generated_tokens_total",
                           "tigerbot_steps_total", "tigerbot_step_seconds_total"}) {
    EXPECT_EQ(served.metric(name), 0) << name << " of a warm-up";
  }
  EXPECT_EQ(post(served.port(), "/v1/chat/completions", kShort).status, 200);
  EXPECT_EQ(post(served.port(), "/v1/chat/completions", Json{{"n", 0}}).status, 400);
  EXPECT_EQ(
      served.metric("tigerbot_http_requests_total{path=\"/v1/chat/completions\",status=\"200\"}"),
      1);
  EXPECT_EQ(
      served.metric("tigerbot_http_requests_total{path=\"/v1/chat/completions\",status=\"400\"}"),
      1);
  served.wait_until_idle();
  EXPECT_EQ(served.metric("tigerbot_generated_tokens_total"), 2);
  EXPECT_EQ(served.metric("tigerbot_cache_tokens_held"), 0);
  EXPECT_EQ(served.metric("tigerbot_cache_fragmentation_ratio"), 0);
  EXPECT_EQ(served.metric("tigerbot_time_to_first_token_seconds_count"), 1);
  EXPECT_EQ(served.metric("tigerbot_time_between_tokens_seconds_count"), 1);
  EXPECT_GT(served.metric("process_open_fds"), 0);
}

TEST(Access, ThePageIsServedWithAPolicyThatLetsNothingElseIn) {
  ServedModel served;
  const ClientAnswer page = request(served.port(), "GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("content-type"), "text/html; charset=utf-8");
  EXPECT_NE(page.header("content-security-policy").find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(request(served.port(), "GET", "/", "", {{"If-None-Match", page.header("etag")}}).status,
            304);
  EXPECT_EQ(request(served.port(), "HEAD", "/").body, "");
}

TEST(Access, ThePageComesCompressedToThoseWhoTakeIt) {
  ServedModel served;
  for (const char* path :
       {"/", "/app.js", "/lib/marked.min.js", "/lib/fonts/KaTeX_Main-Regular.woff2"}) {
    const ClientAnswer plain = request(served.port(), "GET", path);
    const ClientAnswer packed =
        request(served.port(), "GET", path, "", {{"Accept-Encoding", "deflate, gzip"}});
    EXPECT_EQ(plain.header("content-encoding"), "") << path;
    EXPECT_EQ(packed.header("content-encoding"), "gzip") << path;
    EXPECT_EQ(packed.body.substr(0, 2), "\x1f\x8b") << path;
    EXPECT_NE(plain.body, packed.body) << path;
    const ClientAnswer refused =
        request(served.port(), "GET", path, "", {{"Accept-Encoding", "gzip;q=0"}});
    EXPECT_EQ(refused.body, plain.body) << path;
  }
  EXPECT_EQ(request(served.port(), "GET", "/../app.js").status, 400);
  EXPECT_EQ(request(served.port(), "GET", "/lib/").status, 404);
}

}  // namespace
}  // namespace tigerbot::serve
