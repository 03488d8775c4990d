// The service as pages use it: JSON in and out, the session's CSRF token with every change, problems as errors that
// say what happened. Addresses work below a proxy's path, since they follow from that of this module.
import { isLeaving, never } from "./leaving.js";

export const root = new URL("../../../", import.meta.url);
const API = new URL("api/v1/", root);
const TIMEOUT_MS = 20000;

/** What the service refused, or that it did not answer (status 0). */
export class Problem extends Error {
  constructor(message, { status = 0, kind = "" } = {}) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

/** The address of a path of the service. */
export const urlOf = (path, query = {}) => {
  const url = new URL(path.replace(/^\//, ""), API);
  for (const [name, value] of Object.entries(query)) {
    if (value == null || value === "") continue;
    for (const each of [].concat(value)) url.searchParams.append(name, each);
  }
  return url;
};

let session = null;

/** Who is signed in, their role and their token; asked for once. */
export const whoAmI = () => {
  session ??= ask("session").catch((problem) => {
    session = null;
    throw problem;
  });
  return session;
};

// A session that has ended leads to the page to sign in, which leads back here.
const signInAgain = () => {
  if (!document.hidden) location.reload();
  else document.addEventListener("visibilitychange", () => location.reload(), { once: true });
};

const problemOf = async (answer) => {
  const told = await answer.json().catch(() => ({}));
  const kind = String(told.type || "").split(":").pop();
  return new Problem(told.detail || `${answer.status} ${answer.statusText}`, { status: answer.status, kind });
};

const send = async (url, how, timeoutMs) => {
  if (isLeaving()) return never();
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = how.signal ? AbortSignal.any([how.signal, timeout]) : timeout;
  try {
    const answer = await fetch(url, { ...how, signal, credentials: "same-origin" });
    return isLeaving() ? never() : answer;
  } catch (error) {
    if (isLeaving()) return never();
    if (how.signal?.aborted) throw error;
    throw new Problem(error.name === "TimeoutError" ? "timeout" : error.message);
  }
};

/** The JSON of an answer, null for an empty one; raises a Problem. */
export const ask = async (path, { query, timeoutMs = TIMEOUT_MS, ...how } = {}) => {
  const answer = await send(urlOf(path, query), how, timeoutMs);
  if (answer.status === 401) signInAgain();
  if (!answer.ok) throw await problemOf(answer);
  return answer.status === 204 ? null : answer.json();
};

// A token of an older session is exchanged once.
const withToken = async (attempt) => {
  try {
    return await attempt((await whoAmI()).csrf_token);
  } catch (problem) {
    if (problem.kind !== "csrf") throw problem;
    session = null;
    return attempt((await whoAmI()).csrf_token);
  }
};

/** A change: like `ask`, with the token. */
export const change = (method, path, body, options = {}) =>
  withToken((token) => {
    const headers = { "X-CSRF-Token": token, ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
    return ask(path, { ...options, method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  });

/** A change whose answer comes in lines of JSON, each handed to `onLine` as it arrives; there is no limit of time. */
export const changeByLines = (path, body, { signal, onLine }) =>
  withToken(async (token) => {
    const headers = { "X-CSRF-Token": token, "Content-Type": "application/json" };
    const answer = await fetch(urlOf(path), { method: "POST", headers, body: JSON.stringify(body), signal, credentials: "same-origin" });
    if (answer.status === 401) signInAgain();
    if (!answer.ok) throw await problemOf(answer);
    await readLines(answer.body.getReader(), onLine);
  });

const readLines = async (reader, onLine) => {
  const decoder = new TextDecoder();
  let left = "";
  for (let isDone = false; !isDone;) {
    const { value, done } = await reader.read();
    isDone = done;
    left += decoder.decode(value, { stream: !done });
    const lines = left.split("\n");
    left = lines.pop();
    for (const line of lines) if (line) onLine(JSON.parse(line));
  }
};
