-- Which variant a user meets: bucket = fmix32(fnv1a32(salt .. ":" .. user_id)) mod 10000, where fmix32 is the
-- finaliser of MurmurHash3; the candidate when the bucket is below the threshold.
--
-- Numbers are doubles, so 32-bit products are put together from parts that stay exact. Bits are reckoned with
-- arithmetic alone: the gateway's controller tries a script in a Lua without bit library and `require` before it
-- admits it.
local WORD = 4294967296
local BUCKETS = 10000

local function xor(a, b)
  local result, place = 0, 1
  while a > 0 or b > 0 do
    local x, y = a % 2, b % 2
    if x ~= y then
      result = result + place
    end
    a, b, place = (a - x) / 2, (b - y) / 2, place * 2
  end
  return result
end

local function shifted(number, bits)
  return math.floor(number / 2 ^ bits)
end

local function times(a, b)
  local low = a % 65536
  local high = (a - low) / 65536
  return (low * b + (high * b % 65536) * 65536) % WORD
end

local function fnv1a32(text)
  local hash = 2166136261
  for position = 1, #text do
    local low = hash % 256
    hash = times(hash - low + xor(low, text:byte(position)), 16777619)
  end
  return hash
end

local function fmix32(hash)
  hash = times(xor(hash, shifted(hash, 16)), 0x85ebca6b)
  hash = times(xor(hash, shifted(hash, 13)), 0xc2b2ae35)
  return xor(hash, shifted(hash, 16))
end

function bucket_of(salt, user_id)
  return fmix32(fnv1a32(salt .. ":" .. user_id)) % BUCKETS
end

-- The route's filter context holds `salt`, which is the rollout's id and "none" outside one, `threshold` and the
-- `step` of the rollout. What is missing or no number assigns nobody. Of what is missing, `get` returns no value
-- at all, not nil: hence the second parentheses.
function envoy_on_request(handle)
  local headers = handle:headers()
  for _, name in ipairs({"bucket", "rollout", "step", "allocation"}) do
    headers:remove("x-slate-" .. name)
  end
  headers:replace("x-slate-variant", "stable")
  local user_id = headers:get("x-slate-user-id")
  if user_id ~= nil and user_id ~= "" then
    local context = handle:filterContext()
    local salt = tostring((context:get("salt")) or "none")
    if salt ~= "none" and salt ~= "" then
      local threshold = tonumber((context:get("threshold"))) or 0
      local bucket = bucket_of(salt, user_id)
      headers:replace("x-slate-bucket", string.format("%d", bucket))
      headers:replace("x-slate-rollout", salt)
      headers:replace("x-slate-step", tostring((context:get("step")) or ""))
      headers:replace("x-slate-allocation", string.format("%.4f", threshold / BUCKETS))
      if bucket < threshold then
        headers:replace("x-slate-variant", "candidate")
      end
    end
  end
  -- The controller's stand-in for the handle lacks this.
  if handle.clearRouteCache ~= nil then
    handle:clearRouteCache()
  end
end
