-- A script for wrk: uploads, where bench/wrk.py asks for them, and results as JSON, times in µs.
local lines = tonumber(os.getenv("BENCH_LINES") or 0)
local method = os.getenv("BENCH_METHOD") or ""
if method ~= "" then
    wrk.method = method
end
if lines > 0 then
    wrk.method, wrk.body = "POST", string.rep(os.getenv("BENCH_LINE"), lines)
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"duration":%d,"p50":%d,"p99":%d,' ..
        '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
