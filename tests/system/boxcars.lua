-- wrk -s boxcars.lua URL -- BODY KEY: the same boxcar again and again; the last line of the output is JSON.
-- `mixed`: answers whose decisions are not all of one policy, `others`: answers that are no 200.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  mixed, others, answers = 0, 0, 0
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. args[2]
  wrk.body = args[1]
end

function response(status, _, body)
  answers = answers + 1
  if status ~= 200 then
    others = others + 1
    return
  end
  local first
  for from in body:gmatch('"from":"([^"]*)"') do
    first = first or from
    if from ~= first then
      mixed = mixed + 1
      return
    end
  end
end

function done(summary, latency)
  local e, total = summary.errors, { mixed = 0, others = 0, answers = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(total) do
      total[name] = total[name] + thread:get(name)
    end
  end
  io.write(string.format(
    '\n{"answers":%d,"mixed":%d,"others":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"p99_us":%d}\n',
    total.answers, total.mixed, total.others, e.connect, e.read, e.write, e.timeout, latency:percentile(99)))
end
