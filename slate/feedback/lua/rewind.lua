-- ARGV: group, after. Returns 0, or the oldest position where records after that position are gone.
local group = ARGV[1]
local after = math.min(tonumber(ARGV[2]), acknowledged(group))
local cut = redis.call('ZREVRANGEBYSCORE', claims_key(group), number(after), '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
if cut[1] and claim_end(cut[1]) > after then after = tonumber(cut[2]) - 1 end
local oldest = oldest_position()
if after + 1 < oldest then return oldest end
acknowledge(group, after)
return 0
