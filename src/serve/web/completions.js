// The server's API, as any client of it would use it.

/** What went wrong, with the HTTP status (0: no answer at all). */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function headers(apiKey) {
  return { "content-type": "application/json", ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) };
}

async function checked(promise) {
  let response;
  try {
    response = await promise;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, error.message);
  }
  if (response.ok) return response;
  let message = response.statusText;
  try {
    message = (await response.json()).error.message;
  } catch {
    // Not the API's own error: the status line has to do.
  }
  throw new ApiError(response.status, message);
}

/** The names of the models that are served. */
export async function listModels(apiKey) {
  const response = await checked(fetch("v1/models", { headers: headers(apiKey) }));
  return (await response.json()).data.map((model) => model.id);
}

/** The data lines of a stream of server-sent events. */
async function* eventData(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) yield line.slice(5).trim();
    }
  }
}

/**
 * Streams one answer: yields {text}, then {finishReason}, then {usage}. Throws an ApiError, also where
 * the stream ends before its end mark.
 */
export async function* streamChat(request, apiKey, signal) {
  const response = await checked(
    fetch("v1/chat/completions", {
      method: "POST",
      headers: headers(apiKey),
      body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
      signal,
    }),
  );
  try {
    for await (const data of eventData(response.body)) {
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new ApiError(event.error.status ?? 500, event.error.message);
      const choice = event.choices?.[0];
      if (choice?.delta?.content) yield { text: choice.delta.content };
      if (choice?.finish_reason) yield { finishReason: choice.finish_reason };
      if (event.usage) yield { usage: event.usage };
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ApiError) throw error;
    throw new ApiError(0, error.message);
  }
  throw new ApiError(0, "the stream ended early");
}
