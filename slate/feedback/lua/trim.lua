-- ARGV: before. Returns how many records went.
local upto = math.min(tonumber(ARGV[1]) - 1, done())
if upto < oldest_position() then return 0 end
for _, group in ipairs(redis.call('HKEYS', groups_key)) do
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', claims_key(group), '-inf', number(upto))) do
    if claim_end(name) <= upto then redis.call('ZREM', claims_key(group), name) end
  end
end
return redis.call('XTRIM', stream, 'MINID', '=', number(upto + 1) .. '-0')
