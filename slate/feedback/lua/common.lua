-- What all scripts of a stream share. KEYS[1] is the stream; its other keys begin with its name.
local stream = KEYS[1]
local last_key = stream .. ':last'
local groups_key = stream .. ':groups'

local function number(value)
  return string.format('%.0f', value)
end

local function last_position()
  return tonumber(redis.call('GET', last_key) or '0')
end

local function oldest_position()
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if not first then return last_position() + 1 end
  return tonumber(string.match(first[1], '^(%d+)'))
end

local function claims_key(group) return stream .. ':claims:' .. group end
local function lease_key(group) return stream .. ':lease:' .. group end
local function claim_name(first, last) return number(first) .. '-' .. number(last) end
local function claim_end(name) return tonumber(string.match(name, '-(%d+)$')) end

local function acknowledge(group, position)
  redis.call('HSET', groups_key, group, number(position))
  redis.call('DEL', lease_key(group))
end

-- Up to where the group is done; a group that is new begins before the oldest record.
local function acknowledged(group)
  local found = redis.call('HGET', groups_key, group)
  if found then return tonumber(found) end
  local before = oldest_position() - 1
  acknowledge(group, before)
  return before
end

-- Up to where every group is done; nothing is done where there is no group.
local function done()
  local least = nil
  for _, value in ipairs(redis.call('HVALS', groups_key)) do
    local position = tonumber(value)
    if not least or position < least then least = position end
  end
  return least or 0
end

local function milliseconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
