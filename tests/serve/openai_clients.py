#!/usr/bin/env python3
"""The server beside the clients that people use: OpenAI's own (sync, async, streams, tools,
structured output), curl, LangChain and LiteLLM.

    python3 -m venv venv && venv/bin/pip install openai langchain-openai litellm jsonschema
    venv/bin/python tests/serve/openai_clients.py build/tigerbot

Ends with "N checks passed", or at the first one that does not hold.
"""

import argparse
import asyncio
import base64
import json
import os
import signal
import ssl
import struct
import subprocess
import sys
import tempfile
import time

import httpx
import openai
from started_server import Server

CHAT = "smollm2-135m-instruct"
ENCODER = "all-minilm-l6-v2"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
passed = 0


def check(holds, what):
    global passed
    if not holds:
        sys.exit(f"does not hold: {what}")
    passed += 1


def refused(call, kind, param=None):
    try:
        call()
    except kind as error:
        check(param is None or error.param == param, f"{param} is named: {error}")
        check(bool(error.request_id), "an error has a request id")
        return
    check(False, f"{kind.__name__} is raised")


def sync_client(client):
    settings = {"model": CHAT, "messages": QUESTION, "temperature": 0, "max_tokens": 24}
    answer = client.chat.completions.create(**settings)
    text = answer.choices[0].message.content
    check("Paris" in text, f"the answer is right: {text}")
    check(answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens,
          "usage adds up")
    again = client.chat.completions.create(**settings)
    check(again.choices[0].message.content == text, "greedy answers are the same")
    check(again.usage.prompt_tokens_details.cached_tokens > 0, "the second prompt is in the cache")

    parts, usage = [], None
    for chunk in client.chat.completions.create(**settings, stream=True,
                                                stream_options={"include_usage": True}):
        parts += [choice.delta.content or "" for choice in chunk.choices]
        usage = chunk.usage or usage
    check("".join(parts) == text, "a stream says the same")
    check(usage.completion_tokens == answer.usage.completion_tokens, "and counts the same")
    check(len(parts) > 5, "in parts")

    several = client.chat.completions.create(model=CHAT, messages=QUESTION, n=3, seed=5,
                                             temperature=1.5, max_tokens=16)
    texts = [choice.message.content for choice in several.choices]
    check(len(set(texts)) == 3, f"n=3 gives three answers: {texts}")
    check([c.message.content for c in client.chat.completions.create(
        model=CHAT, messages=QUESTION, n=3, seed=5, temperature=1.5, max_tokens=16).choices] == texts,
          "the same ones for the same seed")

    logprobs = client.chat.completions.create(**settings, logprobs=True, top_logprobs=5)
    tokens = logprobs.choices[0].logprobs.content
    spelled = bytes(b for token in tokens for b in token.bytes).decode()
    check(spelled.startswith(text) or text.startswith(spelled), "tokens' bytes spell the answer")
    check(all(t.top_logprobs[0].logprob >= t.logprob - 1e-6 for t in tokens), "the likeliest is first")
    stopped = client.chat.completions.create(**settings, stop=["Paris"])
    check("Paris" not in stopped.choices[0].message.content, "stop")
    check(stopped.choices[0].finish_reason == "stop", "and says so")

    completion = client.completions.create(model=CHAT, prompt=["The sky is", "Two plus two is"],
                                           max_tokens=4, temperature=0, logprobs=2)
    check(len(completion.choices) == 2, "two prompts, two completions")
    check(len(completion.choices[0].logprobs.tokens) == 4, "with log-probabilities")
    check("".join(c.choices[0].text for c in client.completions.create(
        model=CHAT, prompt="The sky is", max_tokens=4, temperature=0, stream=True)) ==
          completion.choices[0].text, "and streamed")

    check({m.id for m in client.models.list()} == {CHAT, ENCODER}, "models are listed")
    check(client.models.retrieve(CHAT).id == CHAT, "and shown")
    refused(lambda: client.chat.completions.create(model="gpt-4o", messages=QUESTION),
            openai.NotFoundError, "model")
    refused(lambda: client.chat.completions.create(**{**settings, "temperature": 5}),
            openai.BadRequestError, "temperature")
    refused(lambda: client.chat.completions.create(**settings, reasoning_effort="low"),
            openai.BadRequestError, "reasoning_effort")
    refused(lambda: client.chat.completions.create(**settings, extra_body={"tempo": 1}),
            openai.BadRequestError, "tempo")


def embeddings(client):
    texts = ["How do I list files?", "Which command shows a folder's content?", "I like cheese."]
    vectors = [d.embedding for d in client.embeddings.create(model=ENCODER, input=texts).data]

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b))

    check(all(abs(cosine(v, v) - 1) < 1e-4 for v in vectors), "vectors have length 1")
    check(cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2]) + 0.2, "near in meaning")
    raw = client.embeddings.with_raw_response.create(model=ENCODER, input=texts[0],
                                                     encoding_format="base64")
    packed = base64.b64decode(json.loads(raw.text)["data"][0]["embedding"])
    unpacked = struct.unpack(f"<{len(packed) // 4}f", packed)
    check(max(abs(a - b) for a, b in zip(unpacked, vectors[0])) < 1e-6, "base64 says the same")
    own = client.embeddings.create(model=CHAT, input=texts)
    check(len(own.data[2].embedding) == 576, "the model's own hidden states")


async def async_client(url):
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="none") as client:
        async def ask(i):
            stream = await client.chat.completions.create(
                model=CHAT, messages=[{"role": "user", "content": f"Count from {i}."}], seed=i,
                temperature=1, max_tokens=24, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in stream])

        alone = [await ask(i) for i in range(4)]
        together = await asyncio.gather(*[ask(i % 4) for i in range(24)])
        check(together == alone * 6, "24 streams at once say what each says alone")
        # One that is broken off.
        stream = await client.chat.completions.create(model=CHAT, messages=QUESTION, max_tokens=400,
                                                      extra_body={"ignore_eos": True}, stream=True)
        async for _ in stream:
            break
        await stream.close()


def tools(client):
    messages = [{"role": "system", "content": "Use the tools."},
                {"role": "user", "content": "What is the weather in Paris, in celsius?"}]
    free = client.chat.completions.create(model=CHAT, messages=messages, tools=[WEATHER],
                                          temperature=0, max_tokens=96)
    check(free.choices[0].finish_reason in ("stop", "length", "tool_calls"), "tools are told")
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        answer = client.chat.completions.create(model=CHAT, messages=messages, tools=[WEATHER],
                                                tool_choice=choice, temperature=0, max_tokens=96)
        call = answer.choices[0].message.tool_calls[0]
        arguments = json.loads(call.function.arguments)
        check(call.function.name == "get_weather", "the function is called")
        check(set(arguments) == {"city", "unit"} and arguments["unit"] in ("celsius", "fahrenheit"),
              f"with arguments that meet its schema: {arguments}")
        check(answer.choices[0].finish_reason == "tool_calls", "and says so")
    calls = {}
    for chunk in client.chat.completions.create(model=CHAT, messages=messages, tools=[WEATHER],
                                                tool_choice="required", temperature=0,
                                                max_tokens=96, stream=True):
        for part in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(part.index, {"name": "", "arguments": ""})
            call["name"] += part.function.name or ""
            call["arguments"] += part.function.arguments or ""
    check(json.loads(calls[0]["arguments"]) == arguments, "streamed calls say the same")
    followed = client.chat.completions.create(
        model=CHAT, max_tokens=16, tools=[WEATHER], tool_choice="none",
        messages=[*messages, answer.choices[0].message.model_dump(exclude_none=True),
                  {"role": "tool", "tool_call_id": call_id(answer), "content": "18 degrees, sunny"}])
    check(followed.choices[0].message.content is not None, "a result is taken")


def call_id(answer):
    return answer.choices[0].message.tool_calls[0].id


def structured(client):
    import jsonschema
    import pydantic

    class City(pydantic.BaseModel):
        name: str
        country: str
        population: int

    answer = client.chat.completions.parse(model=CHAT, messages=QUESTION, response_format=City,
                                           temperature=0, max_tokens=128)
    check(isinstance(answer.choices[0].message.parsed, City), "an answer of a pydantic class")
    schema = {"type": "object", "properties": {"x": {"type": "array", "items": {"type": "integer"},
                                                     "maxItems": 3}},
              "required": ["x"], "additionalProperties": False}
    for seed in range(5):
        answer = client.chat.completions.create(
            model=CHAT, messages=QUESTION, temperature=1, seed=seed, max_tokens=128,
            response_format={"type": "json_schema",
                             "json_schema": {"name": "x", "schema": schema, "strict": True}})
        jsonschema.validate(json.loads(answer.choices[0].message.content), schema)
    check(True, "answers meet a schema")
    answer = client.chat.completions.create(model=CHAT, messages=QUESTION, temperature=0,
                                            max_tokens=200, response_format={"type": "json_object"})
    if answer.choices[0].finish_reason == "stop":
        check(isinstance(json.loads(answer.choices[0].message.content), dict), "a JSON object")


def curl(url):
    def run(*arguments, text=None):
        return subprocess.run(["curl", "-s", "-m", "60", *arguments], capture_output=True, text=True,
                              check=True, input=text).stdout

    body = json.dumps({"messages": QUESTION, "max_tokens": 8, "temperature": 0})
    header = ("-H", "Content-Type: application/json")
    answer = json.loads(run(url + "/v1/chat/completions", *header, "-d", body))
    check(answer["object"] == "chat.completion", "curl")
    stream = run("-N", url + "/v1/chat/completions", *header, "-d",
                 json.dumps({**json.loads(body), "stream": True}))
    check(stream.endswith("data: [DONE]\n\n"), "curl -N")
    check(json.loads(run(url + "/health")) == {"status": "ok"}, "/health")
    check("tigerbot_generated_tokens_total" in run(url + "/metrics"), "/metrics")
    document = json.loads(run(url + "/openapi.json"))
    check("/v1/chat/completions" in document["paths"], "/openapi.json")
    tokens = json.loads(run(url + "/tokenize", *header, "-d", '{"prompt": "Hello world"}'))["tokens"]
    text = json.loads(run(url + "/detokenize", *header, "-d", json.dumps({"tokens": tokens})))
    check(text["prompt"] == "Hello world", "/tokenize and /detokenize")
    status = run("-o", "/dev/null", "-w", "%{http_code}", url + "/v1/chat/completions", *header, "-d",
                 "{")
    check(status == "400", "bad JSON gets 400")
    big = "x" * 300_000
    answer = json.loads(run(url + "/tokenize", *header, "-d", "@-", text=json.dumps({"prompt": big})))
    check(answer["count"] > 1000, "a large body")


def langchain(url):
    from langchain_core.messages import HumanMessage, SystemMessage
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    model = ChatOpenAI(base_url=url + "/v1", api_key="none", model=CHAT, temperature=0, max_tokens=24)
    answer = model.invoke([SystemMessage("Be brief."), HumanMessage(QUESTION[0]["content"])])
    check("Paris" in answer.content, "LangChain")
    check("".join(p.content for p in model.stream(QUESTION[0]["content"])) != "", "LangChain streams")
    vectors = OpenAIEmbeddings(base_url=url + "/v1", api_key="none", model=ENCODER,
                               check_embedding_ctx_length=False).embed_documents(["a", "b"])
    check(len(vectors) == 2 and len(vectors[0]) == 384, "LangChain embeds")


def litellm_client(url):
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look-up of prices in the net
    import litellm

    answer = litellm.completion(model="openai/" + CHAT, api_base=url + "/v1", api_key="none",
                                messages=QUESTION, temperature=0, max_tokens=24)
    check("Paris" in answer.choices[0].message.content, "LiteLLM")


def drained(server):
    """SIGTERM in the middle of an answer lets it end."""
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    stream = client.chat.completions.create(model=CHAT, messages=QUESTION, max_tokens=60, stream=True,
                                            temperature=0, extra_body={"ignore_eos": True},
                                            stream_options={"include_usage": True})
    parts = []
    for chunk in stream:
        parts.append(chunk)
        if len(parts) == 3:
            server.process.send_signal(signal.SIGTERM)
    check(parts[-1].usage.completion_tokens == 60, "SIGTERM lets an answer end")
    check(server.process.wait(60) == 0, "and the server ends with status 0")


def secured(program):
    """Keys, their limits and TLS, with the same client."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                        f"{folder}/key.pem", "-out", f"{folder}/certificate.pem"], check=True,
                       capture_output=True)

        def new_key(*options):
            return subprocess.run([program, "serve", "--keys", f"{folder}/keys.toml", "--new-key",
                                   *options], check=True, capture_output=True, text=True).stdout.strip()

        key = new_key("limited", "--requests-per-minute", "2")
        options = ["--keys", f"{folder}/keys.toml", "--tls-certificate", f"{folder}/certificate.pem",
                   "--tls-key", f"{folder}/key.pem"]
        with Server(program, [CHAT], options) as server:
            check(server.scheme == "https", "HTTPS")

            def client(api_key):
                trust = ssl.create_default_context(cafile=f"{folder}/certificate.pem")
                return openai.OpenAI(base_url=server.url + "/v1", api_key=api_key, max_retries=0,
                                     http_client=httpx.Client(verify=trust))

            def ask(api_key):
                return client(api_key).chat.completions.create(
                    model=CHAT, messages=QUESTION, max_tokens=4, stream=True)

            refused(lambda: ask("tb-wrong"), openai.AuthenticationError)
            for _ in range(2):
                check(len(list(ask(key))) > 0, "a stream over TLS with a key")
            refused(lambda: ask(key), openai.RateLimitError)
            fresh = new_key("later")
            refused(lambda: ask(fresh), openai.AuthenticationError)
            server.process.send_signal(signal.SIGHUP)
            for _ in range(100):
                try:
                    check(len(list(ask(fresh))) > 0, "SIGHUP reads the keys anew")
                    break
                except openai.AuthenticationError:
                    time.sleep(0.1)
            refused(lambda: ask(key), openai.RateLimitError)
            check(server.stop() == 0, "SIGTERM ends it with status 0")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tigerbot", nargs="?", default="build/tigerbot")
    arguments = parser.parse_args()
    # A busy machine may take longer for an answer than servers wait for by default.
    with Server(arguments.tigerbot, [CHAT], ["--drain-timeout", "600"]) as server:
        drained(server)
    with Server(arguments.tigerbot, [CHAT, ENCODER]) as server:
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
        sync_client(client)
        embeddings(client)
        asyncio.run(async_client(server.url))
        tools(client)
        structured(client)
        curl(server.url)
        langchain(server.url)
        litellm_client(server.url)
        client.close()
        metrics = server.metrics()
        check(metrics["tigerbot_answers_running"] == 0, "nothing runs on")
        check(metrics["tigerbot_cache_blocks_free"] == metrics["tigerbot_cache_blocks"],
              "all blocks are free")
        check(server.stop() == 0, "SIGTERM ends it with status 0")
    secured(arguments.tigerbot)
    print(f"{passed} checks passed")


main()
