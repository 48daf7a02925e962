-- ARGV: group, consumer, first, last. Returns 1, or 0 where the claim is no longer the consumer's.
local group, first, last = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local position = acknowledged(group)
if position >= last then return 1 end
local known = redis.call('ZRANGEBYSCORE', claims_key(group), number(first), number(first))[1]
local holder = redis.call('HGET', lease_key(group), 'consumer')
if position ~= first - 1 or known ~= claim_name(first, last) or holder ~= ARGV[2] then return 0 end
acknowledge(group, last)
return 1
