-- KEYS: item ids by version. ARGV: instant, then id, available, features each. Returns the last version.
local version = tonumber(redis.call('GET', KEYS[1] .. ':version') or '0')
for place = 2, #ARGV, 3 do
  version = version + 1
  redis.call('HSET', 'item:' .. ARGV[place],
    'available', ARGV[place + 1], 'features', ARGV[place + 2], 'at', ARGV[1])
  redis.call('ZADD', KEYS[1], version, ARGV[place])
end
redis.call('SET', KEYS[1] .. ':version', string.format('%.0f', version))
return version
