// A driver for `fake-dashscope check`: Node 18 and newer, with `fetch` alone.
import {writeFile} from "node:fs/promises";
import {setTimeout as sleep} from "node:timers/promises";

const {env} = process;
const task = JSON.parse(env.FAKE_DASHSCOPE_TASK);
const aisa = env.FAKE_DASHSCOPE_DIALECT === "aisa";
const base = aisa ? env.AISA_BASE_URL : env.DASHSCOPE_BASE_URL;
const key = aisa ? env.AISA_API_KEY : env.DASHSCOPE_API_KEY;
const statusPath = aisa ? "/services/aigc/tasks/" : "/tasks/";
const deadline = () => Date.now() + Number(env.FAKE_DASHSCOPE_DEADLINE_S) * 1000;
const INTERVAL_MS = 1000;

async function call(method, path, body) {
  const headers = {Authorization: `Bearer ${key}`};
  if (body) Object.assign(headers, {"Content-Type": "application/json", "X-DashScope-Async": "enable"});
  return fetch(base + path, {method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(15000)});
}

async function create() {
  const until = Date.now() + task.submit_timeout_s * 1000;
  for (;;) {
    const answer = await call("POST", task.path, {model: task.model, input: task.input, parameters: task.parameters});
    if (answer.ok) return (await answer.json()).output.task_id;
    const wait = Number(answer.headers.get("retry-after") ?? 1) * 1000 || INTERVAL_MS;
    if (answer.status !== 429) throw answer.status < 500 ? "REFUSED" : "IN_DOUBT";
    if (Date.now() + wait > until) throw "THROTTLED";
    await sleep(wait);
  }
}

async function wait(id) {
  for (const until = deadline(); Date.now() < until; await sleep(INTERVAL_MS)) {
    try {
      const answer = await call("GET", statusPath + id);
      if (answer.status === 429) await sleep(Number(answer.headers.get("retry-after") ?? 0) * 1000 || 0);
      if (!answer.ok) continue;
      const {output} = await answer.json();
      if (["SUCCEEDED", "FAILED", "CANCELED"].includes(output.task_status)) return output;
    } catch (error) {
      console.error(`a poll failed: ${error}`);
    }
  }
  return {task_status: "STILL_GOING"};
}

async function make() {
  let id;
  try {
    id = await create();
  } catch (error) {
    return typeof error === "string" ? error : "IN_DOUBT";
  }
  if (task.cancel === "PENDING") await call("POST", `/tasks/${id}/cancel`);
  const output = await wait(id);
  if (output.task_status === "SUCCEEDED" && task.download) {
    await writeFile(env.FAKE_DASHSCOPE_OUTPUT, Buffer.from(await (await fetch(output.video_url)).arrayBuffer()));
  }
  return output.task_status;
}

if (task.endpoint !== "video" || task.tasks !== 1) process.exit(77);
const outcome = await make();
console.log(JSON.stringify({outcome}));
process.exit(outcome === "SUCCEEDED" ? 0 : 1);
