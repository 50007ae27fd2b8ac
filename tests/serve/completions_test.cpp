#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <future>

#include "serve/served_model.h"
#include "train/lora.h"

namespace tigerbot::serve {
namespace {

using Json = nlohmann::json;

std::string content(const ClientAnswer& answer) {
  return answer.json()["choices"][0]["message"]["content"];
}

/// The text of a stream, put together.
std::string streamed(const ClientAnswer& answer) {
  std::string text;
  for (const std::string& event : event_data(answer.body)) {
    if (event == "[DONE]") continue;
    const Json chunk = Json::parse(event);
    for (const Json& choice : chunk["choices"]) {
      text += choice.contains("text") ? choice["text"].get<std::string>()
                                      : choice["delta"].value("content", "");
    }
  }
  return text;
}

TEST(Completions, AChatAnswerHasOpenAisShape) {
  ServedModel served;
  const ClientAnswer answer = served.chat({{"model", "tiny"}, {"max_tokens", 8}, {"seed", 1}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  const Json body = answer.json();
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["model"], "tiny");
  EXPECT_TRUE(body["id"].get<std::string>().starts_with("chatcmpl-"));
  EXPECT_EQ(body["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(body["usage"]["completion_tokens"], 8);
  EXPECT_EQ(body["usage"]["total_tokens"], body["usage"]["prompt_tokens"].get<int>() + 8);
  EXPECT_EQ(content(answer).size(), 8U);
}

TEST(Completions, AStreamSaysWhatTheWholeAnswerSays) {
  ServedModel served;
  for (const int n : {1, 3}) {
    Json body = {{"max_tokens", 12}, {"seed", 7}, {"n", n}, {"temperature", 1}, {"logprobs", true}};
    const Json whole = served.chat(body).json();
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    const ClientAnswer stream = served.chat(body);
    EXPECT_EQ(stream.header("content-type"), "text/event-stream; charset=utf-8");
    const auto events = event_data(stream.body);
    ASSERT_GE(events.size(), 3U);  // a busy machine may put all of a short answer into one
    EXPECT_EQ(events.back(), "[DONE]");
    EXPECT_EQ(Json::parse(events[events.size() - 2])["usage"]["completion_tokens"],
              whole["usage"]["completion_tokens"]);
    std::vector<std::string> texts(n), reasons(n);
    std::vector<Json> logprobs(n, Json::array());
    for (std::size_t i = 0; i + 2 < events.size(); ++i) {
      const Json chunk = Json::parse(events[i]);
      EXPECT_TRUE(chunk["usage"].is_null());
      for (const Json& choice : chunk["choices"]) {
        const int index = choice["index"];
        texts[index] += choice["delta"].value("content", "");
        for (const Json& token : choice["logprobs"]["content"]) logprobs[index].push_back(token);
        if (!choice["finish_reason"].is_null()) reasons[index] = choice["finish_reason"];
      }
    }
    for (int i = 0; i < n; ++i) {
      EXPECT_EQ(texts[i], whole["choices"][i]["message"]["content"]);
      EXPECT_EQ(logprobs[i], whole["choices"][i]["logprobs"]["content"]);
      EXPECT_EQ(reasons[i], whole["choices"][i]["finish_reason"]);
    }
  }
}

TEST(Completions, ASeedMakesAnAnswerAnewAndOtherSeedsOthers) {
  ServedModel served;
  const Json body = {{"max_tokens", 20}, {"seed", -5}, {"temperature", 1}};
  EXPECT_EQ(content(served.chat(body)), content(served.chat(body)));
  Json other = body;
  other["seed"] = 6;
  EXPECT_NE(content(served.chat(body)), content(served.chat(other)));
}

TEST(Completions, StopStringsAreNotPartOfTheAnswer) {
  ServedModel served;
  const Json body = {{"max_tokens", 20}, {"temperature", 0}};
  const std::string text = content(served.chat(body));
  ASSERT_GE(text.size(), 10U);
  const std::string stop = text.substr(6, 2);
  Json with_stop = body;
  with_stop["stop"] = {stop, "never there"};
  const ClientAnswer answer = served.chat(with_stop);
  EXPECT_EQ(content(answer), text.substr(0, text.find(stop)));
  EXPECT_EQ(answer.json()["choices"][0]["finish_reason"], "stop");
}

TEST(Completions, LogprobsGiveTokensAndTheirBytes) {
  ServedModel served;
  const Json answer =
      served.chat({{"max_tokens", 5}, {"logprobs", true}, {"top_logprobs", 3}, {"temperature", 0}})
          .json();
  const Json& choice = answer["choices"][0];
  std::string text;
  for (const Json& token : choice["logprobs"]["content"]) {
    EXPECT_LE(token["logprob"].get<double>(), 0);
    ASSERT_EQ(token["top_logprobs"].size(), 3U);
    EXPECT_EQ(token["top_logprobs"][0]["token"], token["token"]);  // greedy
    EXPECT_EQ(token["bytes"].size(), token["token"].get<std::string>().size());
    text += token["token"];
  }
  EXPECT_EQ(text, choice["message"]["content"]);
}

TEST(Completions, LogitBiasForcesAndForbidsTokens) {
  ServedModel served;
  // Piece 32 is "A".
  EXPECT_EQ(content(served.chat({{"max_tokens", 4}, {"logit_bias", {{"32", 100}}}})), "AAAA");
  const std::string text = content(served.chat({{"max_tokens", 1}, {"temperature", 0}}));
  const int id = text[0] - '!';
  EXPECT_NE(
      content(served.chat(
          {{"max_tokens", 1}, {"temperature", 0}, {"logit_bias", {{std::to_string(id), -100}}}})),
      text);
}

TEST(Completions, TextCompletionsTakePromptsOfEveryKind) {
  ServedModel served;
  const auto complete = [&](Json prompt) {
    return post(served.port(), "/v1/completions",
                {{"prompt", std::move(prompt)}, {"max_tokens", 6}, {"temperature", 0}})
        .json()["choices"];
  };
  const Json one = complete("AB");
  EXPECT_EQ(one[0]["text"], complete({32, 33})[0]["text"]);
  const Json two = complete({"AB", "CD"});
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(two[0]["text"], one[0]["text"]);
  EXPECT_EQ(two[1]["index"], 1);
  EXPECT_EQ(two[1]["text"], complete(Json::array({Json::array({34, 35})}))[0]["text"]);
}

TEST(Completions, EchoAndLogprobsOfTextCompletions) {
  ServedModel served;
  const Json echo =
      post(served.port(), "/v1/completions", {{"prompt", "AB"}, {"max_tokens", 2}, {"echo", true}})
          .json();
  EXPECT_TRUE(echo["choices"][0]["text"].get<std::string>().starts_with("AB"));
  const Json answer =
      post(served.port(), "/v1/completions", {{"prompt", "AB"}, {"max_tokens", 3}, {"logprobs", 2}})
          .json();
  const Json& logprobs = answer["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"].size(), 3U);
  EXPECT_EQ(logprobs["top_logprobs"][0].size(), 2U);
  EXPECT_EQ(logprobs["text_offset"], Json({0, 1, 2}));
}

TEST(Completions, EveryParameterIsHonouredOrRefusedByName) {
  ServedModel served;
  const std::vector<std::pair<Json, std::string>> cases{
      {{{"temperature", 3}}, "temperature"},
      {{{"temperature", "hot"}}, "temperature"},
      {{{"top_p", -1}}, "top_p"},
      {{{"n", 0}}, "n"},
      {{{"n", 1e9}}, "n"},
      {{{"max_tokens", 0}}, "max_tokens"},
      {{{"max_tokens", -1}}, "max_tokens"},
      {{{"max_tokens", 1.5}}, "max_tokens"},
      {{{"max_completion_tokens", 99999999999}}, "max_completion_tokens"},
      {{{"max_tokens", 3}, {"max_completion_tokens", 4}}, "max_tokens"},
      {{{"stop", ""}}, "stop"},
      {{{"stop", 5}}, "stop"},
      {{{"stop", {"a", 5}}}, "stop[1]"},
      {{{"seed", 1.5}}, "seed"},
      {{{"seed", 18446744073709551615U}}, "seed"},
      {{{"logit_bias", {{"x", 1}}}}, "logit_bias"},
      {{{"logit_bias", {{"96", 1}}}}, "logit_bias"},
      {{{"logit_bias", {{"1", 101}}}}, "logit_bias.1"},
      {{{"logit_bias", {{"1", 1}, {"01", 1}}}}, "logit_bias"},
      {{{"top_logprobs", 2}}, "top_logprobs"},
      {{{"logprobs", true}, {"top_logprobs", 21}}, "top_logprobs"},
      {{{"presence_penalty", 2.5}}, "presence_penalty"},
      {{{"stream_options", {{"include_usage", true}}}}, "stream_options"},
      {{{"stream", 1}}, "stream"},
      {{{"response_format", {{"type", "xml"}}}}, "response_format.type"},
      {{{"tool_choice", "auto"}}, "tool_choice"},
      {{{"tools", {{{"type", "retrieval"}}}}}, "tools[0].type"},
      {{{"audio", Json::object()}}, "audio"},
      {{{"functions", Json::array()}}, "functions"},
      {{{"modalities", {"audio"}}}, "modalities"},
      {{{"prediction", Json::object()}}, "prediction"},
      {{{"reasoning_effort", "low"}}, "reasoning_effort"},
      {{{"service_tier", "flex"}}, "service_tier"},
      {{{"store", true}}, "store"},
      {{{"temprature", 1}}, "temprature"},
      {{{"messages", "hi"}}, "messages"},
  };
  for (const auto& [body, param] : cases) {
    const ClientAnswer answer = served.chat(body);
    EXPECT_EQ(answer.status, 400) << body << answer.body;
    EXPECT_EQ(answer.json()["error"]["param"], param) << body << answer.body;
    EXPECT_EQ(answer.json()["error"]["type"], "invalid_request_error");
  }
}

TEST(Completions, BadBodiesGetFourHundred) {
  ServedModel served;
  for (const std::string& body :
       {std::string("{"), std::string("[]"), std::string("1"), std::string("\"a\""),
        std::string("{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\xfe\"}]}"),
        std::string(100000, '['), "{\"a\":" + std::string(50000, '{'),
        std::string("{\"n\": 1e9999}"), std::string("{\"n\": 1, \"n\": 2}"),
        std::string("{\"model\": \"\\u0000\"}")}) {
    const ClientAnswer answer = request(served.port(), "POST", "/v1/chat/completions", body,
                                        {{"Content-Type", "application/json"}});
    EXPECT_GE(answer.status, 400) << body.substr(0, 40);
    EXPECT_LT(answer.status, 500) << body.substr(0, 40);
    EXPECT_FALSE(answer.json()["error"]["message"].get<std::string>().empty());
  }
}

TEST(Completions, RoutesModelsAndContentTypesThatAreNotThere) {
  ServedModel served;
  EXPECT_EQ(request(served.port(), "GET", "/nowhere").status, 404);
  EXPECT_EQ(request(served.port(), "GET", "/v1/chat/completions").status, 405);
  EXPECT_EQ(request(served.port(), "DELETE", "/v1/models").status, 405);
  EXPECT_EQ(served.chat({{"model", "other"}}).status, 404);
  EXPECT_EQ(served.chat({{"model", "tiny:none"}}).json()["error"]["code"], "model_not_found");
  EXPECT_EQ(request(served.port(), "POST", "/v1/chat/completions", "{}").status, 415);
  EXPECT_EQ(request(served.port(), "GET", "/v1/models/tiny").json()["id"], "tiny");
  EXPECT_EQ(request(served.port(), "GET", "/v1/models/x").status, 404);
}

TEST(Completions, APromptThatIsTooLongIsRefused) {
  ServedModel served;
  const ClientAnswer answer =
      served.chat({{"messages", {{{"role", "user"}, {"content", std::string(600, 'a')}}}}});
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.json()["error"]["code"], "context_length_exceeded");
}

TEST(Completions, AScaledModelTakesWhatIsLongerThanItWasTrainedFor) {
  ServedModel::Options options;
  options.engine.rope_scaling = RopeScaling::Kind::kLinear;
  options.engine.rope_factor = 4;
  ServedModel scaled(options);
  const Json messages = {{{"role", "user"}, {"content", std::string(600, 'a')}}};
  EXPECT_EQ(scaled.chat({{"messages", messages}, {"max_tokens", 4}}).status, 200);
  // What fits as it is, is answered as by a model without scaling.
  ServedModel plain;
  const Json body = {{"max_tokens", 8}, {"temperature", 0}};
  EXPECT_EQ(scaled.chat(body).json()["choices"], plain.chat(body).json()["choices"]);
}

TEST(Completions, TokenizeAndDetokenizeAreInverse) {
  ServedModel served;
  const Json tokens =
      post(served.port(), "/tokenize", {{"prompt", "A b<end>"}, {"return_token_strs", true}})
          .json();
  EXPECT_EQ(tokens["tokens"], Json({32, 94, 65, 95}));
  EXPECT_EQ(tokens["token_strs"], Json({"A", " ", "b", "<end>"}));
  EXPECT_EQ(post(served.port(), "/detokenize", {{"tokens", tokens["tokens"]}}).json()["prompt"],
            "A b<end>");
  EXPECT_EQ(post(served.port(), "/detokenize", {{"tokens", {96}}}).status, 400);
  EXPECT_EQ(post(served.port(), "/tokenize", {{"messages", {{{"role", "user"}, {"content", "x"}}}}})
                .json()["count"],
            std::string("[user: x][assistant: ").size());
}

TEST(Completions, EmbeddingsAreUnitVectorsInEitherEncoding) {
  ServedModel served;
  const Json answer =
      post(served.port(), "/v1/embeddings", {{"input", {"AB", "CD"}}, {"model", "tiny"}}).json();
  ASSERT_EQ(answer["data"].size(), 2U) << answer;
  double sum = 0;
  for (const double value : answer["data"][1]["embedding"]) sum += value * value;
  EXPECT_NEAR(sum, 1, 1e-5);
  const Json packed = post(served.port(), "/v1/embeddings",
                           {{"input", Json::array({34, 35})}, {"encoding_format", "base64"}})
                          .json();
  // 32 numbers of 4 bytes.
  EXPECT_EQ(packed["data"][0]["embedding"].get<std::string>().size(), 172U);
  EXPECT_EQ(post(served.port(), "/v1/embeddings", {{"input", "a"}, {"dimensions", 8}})
                .json()["error"]["param"],
            "dimensions");
  EXPECT_EQ(post(served.port(), "/v1/embeddings", {{"input", Json::array()}}).status, 400);
}

TEST(Completions, ManyAtOnceSayWhatEachSaysAlone) {
  ServedModel::Options options;
  options.engine.cache_tokens = 4096;
  ServedModel served(options);
  const auto ask = [&](int i, bool stream) {
    return served.chat({{"messages", {{{"role", "user"}, {"content", "No. " + std::to_string(i)}}}},
                        {"max_tokens", 24},
                        {"seed", i},
                        {"temperature", i % 2},
                        {"stream", stream}});
  };
  constexpr int kClients = 40;
  std::vector<std::string> alone;
  for (int i = 0; i < kClients; ++i) alone.push_back(content(ask(i, false)));
  std::vector<std::future<std::string>> together;
  for (int i = 0; i < kClients; ++i) {
    together.push_back(std::async(std::launch::async, [&, i] { return streamed(ask(i, true)); }));
  }
  for (int i = 0; i < kClients; ++i) EXPECT_EQ(together[i].get(), alone[i]) << i;
}

TEST(Completions, AQuantizedCacheIsSmallerAndSaysTheSameEachTime) {
  ServedModel::Options options;
  options.engine.cache_dtype = at::kChar;
  ServedModel served(options);
  ServedModel plain;
  const Json body = {{"messages", {{{"role", "user"}, {"content", std::string(70, 'b')}}}},
                     {"max_tokens", 24},
                     {"seed", 3},
                     {"n", 3}};
  const ClientAnswer first = served.chat(body);
  ASSERT_EQ(first.status, 200) << first.body;
  served.wait_until_idle();
  EXPECT_EQ(served.metric("tigerbot_prompt_tokens_cached_total"), 0);
  // The second time the prompt is found in the cache.
  EXPECT_EQ(served.chat(body).json()["choices"], first.json()["choices"]);
  served.wait_until_idle();
  EXPECT_GT(served.metric("tigerbot_prompt_tokens_cached_total"), 0);
  EXPECT_EQ(plain.chat(body).status, 200);
  plain.wait_until_idle();
  // 32 tokens, two layers, keys and values of one head of 16: float32, or 8 bits and a scale.
  EXPECT_EQ(plain.metric("tigerbot_cache_block_bytes"), 32 * 2 * 2 * 16 * 4);
  EXPECT_EQ(served.metric("tigerbot_cache_block_bytes"), 32 * 2 * 2 * (16 + 4));
}

TEST(Completions, AClientThatGoesAwayFreesItsBlocks) {
  ServedModel served;
  const double free = served.metric("tigerbot_cache_blocks_free");
  for (const bool stream : {true, false}) {
    RawClient client(served.port());
    const std::string body = Json{
        {"messages", {{{"role", "user"}, {"content", "Hi"}}}},
        {"max_tokens", 400},
        {"ignore_eos", true},
        {"stream", stream}}.dump();
    client.send(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        "application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
    if (stream) client.receive_until("data: ");
    client.close();
    while (served.metric("tigerbot_clients_gone_total") < (stream ? 1 : 2)) {
    }
    served.wait_until_idle();
    EXPECT_EQ(served.metric("tigerbot_cache_blocks_free"), free);
  }
}

TEST(Completions, AnswersKeepToTheFormatThatIsAskedFor) {
  ServedModel served;
  const auto answer = [&](Json format, int seed) {
    const ClientAnswer got =
        served.chat({{"response_format", std::move(format)}, {"seed", seed}, {"max_tokens", 200}});
    EXPECT_EQ(got.status, 200) << got.body;
    EXPECT_EQ(got.json()["choices"][0]["finish_reason"], "stop");
    return content(got);
  };
  const Json schema = {{"type", "object"},
                       {"properties", {{"a", {{"enum", {1, 2}}}}, {"b", {{"type", "boolean"}}}}},
                       {"required", {"a", "b"}},
                       {"additionalProperties", false}};
  for (int seed = 0; seed < 5; ++seed) {
    const Json object = Json::parse(answer(
        {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", schema}}}}, seed));
    EXPECT_EQ(object.size(), 2U);
    EXPECT_TRUE(object["a"] == 1 || object["a"] == 2);
    EXPECT_TRUE(object["b"].is_boolean());
    const std::string choice = answer({{"type", "choice"}, {"choices", {"yes", "no"}}}, seed);
    EXPECT_TRUE(choice == "yes" || choice == "no") << choice;
    const std::string digits = answer({{"type", "regex"}, {"pattern", "[0-9]{3}"}}, seed);
    EXPECT_EQ(digits.size(), 3U);
    EXPECT_EQ(digits.find_first_not_of("0123456789"), std::string::npos);
  }
  const ClientAnswer bad =
      served.chat({{"response_format",
                    {{"type", "json_schema"},
                     {"json_schema", {{"name", "x"}, {"schema", {{"type", "thing"}}}}}}}});
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.json()["error"]["param"], "response_format.json_schema.schema");
}

TEST(Completions, AForcedCallHasArgumentsThatMeetItsSchema) {
  ServedModel served;
  const auto tool = [](const char* name, Json parameters) {
    return Json{{"type", "function"}, {"function", {{"name", name}, {"parameters", parameters}}}};
  };
  const Json tools = {tool("f", {{"type", "object"},
                                 {"properties", {{"x", {{"$ref", "#/$defs/digit"}}}}},
                                 {"required", {"x"}},
                                 {"additionalProperties", false},
                                 {"$defs", {{"digit", {{"enum", {1, 2, 3}}}}}}}),
                      tool("g", {{"type", "object"}, {"additionalProperties", false}})};
  for (const Json& choice :
       {Json("required"), Json{{"type", "function"}, {"function", {{"name", "f"}}}}}) {
    for (int seed = 0; seed < 4; ++seed) {
      for (const bool stream : {false, true}) {
        const ClientAnswer got = served.chat({{"tools", tools},
                                              {"tool_choice", choice},
                                              {"seed", seed},
                                              {"stream", stream},
                                              {"max_tokens", 100}});
        ASSERT_EQ(got.status, 200) << got.body;
        Json call;
        if (stream) {
          for (const std::string& event : event_data(got.body)) {
            if (event == "[DONE]") continue;
            const Json delta = Json::parse(event)["choices"][0]["delta"];
            if (delta.contains("tool_calls")) call = delta["tool_calls"][0]["function"];
          }
        } else {
          EXPECT_EQ(got.json()["choices"][0]["finish_reason"], "tool_calls");
          EXPECT_TRUE(got.json()["choices"][0]["message"]["content"].is_null());
          call = got.json()["choices"][0]["message"]["tool_calls"][0]["function"];
        }
        const Json arguments = Json::parse(call["arguments"].get<std::string>());
        if (call["name"] == "f") {
          EXPECT_TRUE(arguments["x"] == 1 || arguments["x"] == 2 || arguments["x"] == 3);
        } else {
          EXPECT_EQ(choice, "required");
          EXPECT_EQ(arguments, Json::object());
        }
      }
    }
  }
}

TEST(Completions, FormatsGoByTheNamesOfVllmToo) {
  ServedModel served;
  const auto answer = [&](Json extra) {
    extra["max_tokens"] = 200;
    return served.chat(extra);
  };
  const Json schema = {
      {"type", "object"}, {"properties", {{"a", {{"enum", {1, 2}}}}}}, {"required", {"a"}}};
  for (const Json& extra : {Json{{"guided_json", schema}}, Json{{"guided_json", schema.dump()}},
                            Json{{"structured_outputs", {{"json", schema}}}}}) {
    const Json object = Json::parse(content(answer(extra)));
    EXPECT_TRUE(object["a"] == 1 || object["a"] == 2);
  }
  EXPECT_EQ(content(answer({{"guided_choice", {"maybe"}}})), "maybe");
  EXPECT_EQ(content(answer({{"structured_outputs", {{"regex", "x{4}"}}}})), "xxxx");
  const auto refused = [&](Json extra) {
    const ClientAnswer got = answer(std::move(extra));
    EXPECT_EQ(got.status, 400) << got.body;
    return got.json()["error"]["param"];
  };
  EXPECT_EQ(refused({{"guided_grammar", "root ::= x"}}), "guided_grammar");
  EXPECT_EQ(refused({{"structured_outputs", Json::object()}}), "structured_outputs");
  EXPECT_EQ(refused({{"structured_outputs", {{"regx", "a"}}}}), "structured_outputs.regx");
  EXPECT_EQ(refused({{"guided_regex", "("}}), "guided_regex");
  EXPECT_EQ(refused({{"guided_regex", "a"}, {"response_format", {{"type", "json_object"}}}}),
            "guided_regex");
}

TEST(Completions, TheOpenApiDocumentNamesWhatIsServed) {
  ServedModel served;
  const Json document = request(served.port(), "GET", "/openapi.json").json();
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, unused] : methods.items()) {
      const std::string name = path == "/v1/models/{model}" ? "/v1/models/tiny" : path;
      const ClientAnswer answer = method == "post" ? post(served.port(), name, Json::object())
                                                   : request(served.port(), "GET", name);
      EXPECT_EQ(answer.status, method == "post" ? 400 : 200) << path;
    }
  }
  // A null is a parameter that is known and not given.
  const auto check = [&](const char* schema, const char* path, Json body) {
    for (const auto& [name, unused] :
         document["components"]["schemas"][schema]["properties"].items()) {
      if (!body.contains(name)) body[name] = nullptr;
    }
    const ClientAnswer answer = post(served.port(), path, body);
    EXPECT_EQ(answer.status, 200) << answer.body;
  };
  check("ChatRequest", "/v1/chat/completions",
        {{"messages", {{{"role", "user"}, {"content", "x"}}}}, {"max_tokens", 1}});
  check("CompletionRequest", "/v1/completions", {{"prompt", "x"}, {"max_tokens", 1}});
  check("EmbeddingRequest", "/v1/embeddings", {{"input", "x"}});
  check("TokenizeRequest", "/tokenize", {{"prompt", "x"}});
  check("DetokenizeRequest", "/detokenize", {{"tokens", {1}}});
}

TEST(Completions, AnAdapterIsAModelOfItsOwn) {
  testing::ScratchFolder folder;
  write_random_model(folder / "tiny");
  {
    LanguageModel base(folder / "tiny", std::nullopt, at::kCPU);
    train::LoraAdapters adapters(base.decoder(), {.rank = 2});
    const at::NoGradGuard no_grad;
    for (auto& parameter : adapters.parameters()) {
      float* values = parameter.tensor->data_ptr<float>();
      for (std::int64_t i = 0; i < parameter.tensor->numel(); ++i) {
        values[i] = i % 2 == 0 ? 0.5F : -0.3F;
      }
    }
    adapters.save(folder / "adapter", "tiny");
  }
  ServedModel served;
  served.service().add(std::make_shared<ServingModel>(
      ModelEntry{"tiny:odd", folder / "tiny", folder / "adapter", "tiny"}, ServingModelOptions()));
  const Json body = {{"max_tokens", 16}, {"temperature", 0}};
  Json odd = body;
  odd["model"] = "tiny:odd";
  const ClientAnswer answer = served.chat(odd);
  EXPECT_EQ(answer.json()["model"], "tiny:odd");
  EXPECT_NE(content(answer), content(served.chat(body)));
  EXPECT_EQ(request(served.port(), "GET", "/v1/models/tiny:odd").json()["parent"], "tiny");
}

TEST(Completions, AFullQueueIsToldSo) {
  ServedModel::Options options;
  options.engine.max_waiting = 1;
  ServedModel served(options);
  const ClientAnswer answer = served.chat({{"n", 2}, {"max_tokens", 4}});
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.json()["error"]["code"], "queue_full");
  EXPECT_EQ(answer.header("retry-after"), "1");
}

}  // namespace
}  // namespace tigerbot::serve
