-- One create, then thirty polls of its task, on every thread again and again: a video of a minute and a half,
-- asked for every three seconds. The environment names the paths and the key.
local create, poll
local sent = 0

-- Not before: only now does wrk know the Host, without which a request is none to some servers.
function init(arguments)
  create = wrk.format("POST", os.getenv("LOAD_CREATE"), {
    ["Authorization"] = "Bearer " .. os.getenv("LOAD_KEY"),
    ["Content-Type"] = "application/json",
    ["X-DashScope-Async"] = "enable",
  }, '{"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}')
  poll = create
end

function request()
  sent = sent + 1
  if sent % 31 == 1 then
    return create
  end
  return poll
end

function response(status, headers, body)
  if status ~= 200 then
    return -- wrk counts it
  end
  -- The answer to a create is the short one: a poll's tells times.
  if not body:find("submit_time", 1, true) then
    local id = body:match('"task_id": ?"([^"]+)"')
    if id then
      poll = wrk.format("GET", os.getenv("LOAD_TASKS") .. id, {["Authorization"] = "Bearer " .. os.getenv("LOAD_KEY")})
    end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '{"requests": %d, "duration_us": %d, "status_errors": %d, "socket_errors": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration, summary.errors.status, errors, latency:percentile(50), latency:percentile(99)))
end
