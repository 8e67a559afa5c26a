-- One chat completion with a prompt of 1 KB; what to ask for comes from the environment. Prints one line of JSON at the end.
local stream = ""
if os.getenv("BENCH_STREAM") == "1" then
  stream = ',"stream":true,"stream_options":{"include_usage":true}'
end
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
-- Further headers, one a line.
for name, value in string.gmatch(os.getenv("BENCH_HEADERS") or "", "([^:\n]+): ([^\n]+)") do
  wrk.headers[name] = value
end
wrk.body = '{"model":"' .. os.getenv("BENCH_MODEL") .. '","messages":[{"role":"user","content":"'
  .. string.rep("x", 1000) .. '"}]' .. stream .. "}"

function done(summary, latency, requests)
  local e = summary.errors
  print(string.format('{"requests":%d,"us":%d,"refused":%d,"errors":%d}', summary.requests, summary.duration,
    e.status, e.connect + e.read + e.write + e.timeout))
end
