// Questions to the admin pages, and their event streams. A token is kept for this tab only.

const ROOT = "/__admin";
const KEPT = "fake-dashscope admin token";
const AGAIN_MS = 1000;

function headers() {
  const token = sessionStorage.getItem(KEPT);
  return token ? { "X-Fake-Admin-Token": token } : {};
}

export function keepToken(token) {
  sessionStorage.setItem(KEPT, token);
}

export class AskError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Ask a page; a mistake is thrown with the server's own words.
export async function ask(path, method = "GET", body = undefined) {
  const options = { method, headers: headers(), cache: "no-store" };
  if (body !== undefined) options.body = JSON.stringify(body);
  const answer = await fetch(ROOT + path, options);
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new AskError(answer.status, said.errors?.map((error) => error.detail).join("; ") ?? `answered ${answer.status}`);
  return said;
}

function read(text) {
  const event = { kind: "message", data: "" };
  for (const line of text.split("\n")) {
    const [, name, value] = line.match(/^(\w+): ?(.*)$/) ?? [];
    if (name === "event") event.kind = value;
    if (name === "data") event.data += value;
  }
  return event;
}

// Follow a stream until it is aborted, however often it breaks. `EventSource` could send no token.
export async function follow(path, signal, { heard, isUp }) {
  while (!signal.aborted) {
    try {
      const answer = await fetch(ROOT + path, { headers: headers(), signal, cache: "no-store" });
      if (!answer.ok) throw new AskError(answer.status, `answered ${answer.status}`);
      isUp(true);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        const events = (rest + piece.value).split("\n\n");
        rest = events.pop();
        for (const text of events) {
          const event = read(text);
          if (event.data) heard(event.kind, JSON.parse(event.data));
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401 || error.status === 404) return isUp(false, error);
    }
    if (signal.aborted) return;
    isUp(false);
    await new Promise((go) => setTimeout(go, AGAIN_MS));
  }
}
