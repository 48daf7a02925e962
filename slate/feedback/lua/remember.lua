-- KEYS: a user's events by id, and their ids by time. ARGV: how many to keep, then id, instant, event each.
for place = 2, #ARGV, 3 do
  if redis.call('HSETNX', KEYS[1], ARGV[place], ARGV[place + 2]) == 1 then
    redis.call('ZADD', KEYS[2], ARGV[place + 1], ARGV[place])
  end
end
local beyond = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[1])
if beyond > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, beyond - 1)) do
    redis.call('HDEL', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
  end
end
return beyond
