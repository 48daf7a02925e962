-- KEYS: item ids by version. ARGV: the version after which. Returns version, id, available, features, instant.
local changes = {}
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES')
for place = 1, #found, 2 do
  local item = redis.call('HMGET', 'item:' .. found[place], 'available', 'features', 'at')
  changes[#changes + 1] = {tonumber(found[place + 1]), found[place], item[1], item[2], item[3]}
end
return changes
