-- ARGV: group, consumer, limit, milliseconds. Returns first and last, or nothing.
local group, consumer = ARGV[1], ARGV[2]
local first, now = acknowledged(group) + 1, milliseconds()
local known = redis.call('ZRANGEBYSCORE', claims_key(group), number(first), number(first))[1]
local last
if known then
  local lease = redis.call('HMGET', lease_key(group), 'consumer', 'until')
  if lease[1] and lease[1] ~= consumer and tonumber(lease[2]) > now then return {} end
  last = claim_end(known)
else
  last = math.min(first + tonumber(ARGV[3]) - 1, last_position())
  if last < first then return {} end
  redis.call('ZADD', claims_key(group), number(first), claim_name(first, last))
end
redis.call('HSET', lease_key(group), 'consumer', consumer, 'until', number(now + tonumber(ARGV[4])))
return {first, last}
