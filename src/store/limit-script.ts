/**
 * The counts of a limit in Redis: one hash per caller, changed by one script, which Redis runs whole and by its own clock.
 *
 * | field | holds |
 * |---|---|
 * | `level`, `at` | gcra: units in the bucket, and when they were so many; it leaks `max` per window |
 * | `b<n>` | sliding window: units charged in its n-th part since the epoch |
 * | `used` | quota: units charged in its period, which is part of the hash's key |
 * | `h<holder>` | units that a holder of a lease has ahead, and until when |
 *
 * A lease is charged when it is given, so the sum of what all holders let pass never exceeds what was charged; it is only
 * let pass later than it was charged. `cap` bounds how much that is: the units that all holders together have ahead.
 * See docs/decisions/0009.
 */

/** A sliding window is counted in so many parts, as in memory; the one that slides out counts whole until it has. */
export const WINDOW_PARTS = 8;

/** What a holder may be late with giving back, on top of the lease's time. */
export const LEASE_GRACE_MS = 1_000;

/** Granted so many: the period is over, or has not begun, by the clock of Redis. */
export const OTHER_PERIOD = -1;

/**
 * KEYS: the hash. ARGV: as `scriptArguments` of redis-limits.ts puts them. Replies: granted, leased, remaining, reset and
 * retry in µs, and the time in seconds and µs.
 */
export const LIMIT_SCRIPT = `
local key = KEYS[1]
local kind = ARGV[1]
local max, window, burst = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local cost, count = tonumber(ARGV[5]), tonumber(ARGV[6])
local held, want, back = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local holder, cap, lease = 'h' .. ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[12])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local part = window / ${WINDOW_PARTS}
local from, till = tonumber(ARGV[13]), tonumber(ARGV[14])
if kind == 'quota' and (now < from or now >= till) then
  return { ${OTHER_PERIOD}, 0, 0, 0, 0, time[1], time[2] }
end

-- What is there.
local level, at, used, parts = 0, now, 0, {}
local others, holders, known = 0, 1, false
local stale = {}
local stored = redis.call('HGETALL', key)
for i = 1, #stored, 2 do
  local field, value = stored[i], stored[i + 1]
  local first = string.sub(field, 1, 1)
  if first == 'h' then
    local units, ends = string.match(value, '^(%d+) (%S+)$')
    if field == holder then known = true
    elseif tonumber(ends) <= now then stale[#stale + 1] = field
    else others = others + units holders = holders + 1 end
  elseif first == 'b' then
    local n = tonumber(string.sub(field, 2))
    if (n + 1) * part + window <= now then stale[#stale + 1] = field
    else parts[#parts + 1] = { n, tonumber(value) } end
  elseif field == 'level' then level = tonumber(value)
  elseif field == 'at' then at = tonumber(value)
  elseif field == 'used' then used = tonumber(value) end
end

-- What is free, once what comes back is back.
local free
if kind == 'gcra' then
  level = math.max(0, level - math.max(0, now - at) * max / window)
  level = math.max(0, level - back)
  free = math.floor(burst - level + 1e-6)
elseif kind == 'sliding-window' then
  table.sort(parts, function(a, b) return a[1] < b[1] end)
  local left = back
  for _, each in ipairs(parts) do
    local less = math.min(left, each[2])
    each[2] = each[2] - less
    left = left - less
    used = used + each[2]
  end
  free = max - used
else
  used = math.max(0, used - back)
  free = max - used
end
free = math.max(0, free)

-- Who waits comes first; what is given ahead is shared fairly between those who have asked for it of late.
local granted = count
if cost > 0 then granted = math.min(count, math.floor(free / cost)) end
free = free - granted * cost
local leased = 0
if granted == count then
  leased = math.min(want, cap - others - held, math.floor(cap / holders) - held, math.floor(free / holders))
  leased = math.max(0, leased)
end
free = free - leased
local taken = granted * cost + leased

-- What is kept.
local reset, retry = 0, 0
local short = math.max(0, cost - free)
if kind == 'gcra' then
  level = level + taken
  reset = level * window / max
  if free < cost then retry = (cost - (burst - level)) * window / max end
  if taken > 0 or back > 0 then
    redis.call('HSET', key, 'level', string.format('%.17g', level), 'at', string.format('%.17g', now))
  end
elseif kind == 'sliding-window' then
  local n = math.floor(now / part)
  local last = parts[#parts]
  if last == nil or last[1] < n then last = { n, 0 } parts[#parts + 1] = last end
  last[2] = last[2] + taken
  for _, each in ipairs(parts) do
    if each[2] > 0 then
      reset = (each[1] + 1) * part + window - now
      if short > 0 then
        short = short - each[2]
        retry = reset
      end
    end
    if back > 0 and each[1] ~= last[1] then redis.call('HSET', key, 'b' .. string.format('%d', each[1]), each[2]) end
  end
  if taken > 0 or back > 0 then redis.call('HSET', key, 'b' .. string.format('%d', last[1]), last[2]) end
else
  reset = till - now
  if free < cost then retry = reset end
  if taken > 0 or back > 0 then redis.call('HSET', key, 'used', used + taken) end
end
if want > 0 or held + leased > 0 then
  redis.call('HSET', key, holder, string.format('%d %.17g', held + leased, now + lease + ${LEASE_GRACE_MS}))
elseif known then
  redis.call('HDEL', key, holder)
end
for _, field in ipairs(stale) do redis.call('HDEL', key, field) end
if taken > 0 or back > 0 or want > 0 or held > 0 then
  redis.call('PEXPIRE', key, math.ceil(math.max(reset, lease) + ${LEASE_GRACE_MS}))
end
return { granted, leased, free, math.ceil(reset * 1000), math.ceil(retry * 1000), time[1], time[2] }
`;
