-- ARGV: limit, milliseconds to remember ids, how many records, the records, then as many ids or none.
-- Returns a 1 for each record that was added and a 0 for each duplicate, or nothing where they do not fit.
local limit, remember, count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local has_ids = #ARGV > 3 + count
local fresh, here, new = {}, {}, 0
for place = 1, count do
  fresh[place] = 1
  if has_ids then
    local key = stream .. ':seen:' .. ARGV[3 + count + place]
    if here[key] or redis.call('EXISTS', key) == 1 then fresh[place] = 0 end
    here[key] = true
  end
  new = new + fresh[place]
end
local last = last_position()
if last - done() + new > limit then return {} end
for place = 1, count do
  if fresh[place] == 1 then
    last = last + 1
    redis.call('XADD', stream, number(last) .. '-0', 'record', ARGV[3 + place])
    if has_ids then
      redis.call('SET', stream .. ':seen:' .. ARGV[3 + count + place], '1', 'PX', remember)
    end
  end
end
redis.call('SET', last_key, number(last))
return fresh
