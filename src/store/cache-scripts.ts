/**
 * Stored answers in Redis, for several gateways. All keys begin with KEYS[1], which names the Redis itself: after a restart
 * or a change of the primary nothing of before is found, whatever was loaded from a disk or lost on the way to a replica.
 *
 * | key | holds |
 * |---|---|
 * | `answer:<id>` | one answer, and what was current when it was asked for: `cell`, `list`, `since`, `tags` |
 * | `vary:<id>` | names of the fields that choose among answers to one question |
 * | `chosen:<id>` | ids of those answers, the oldest first |
 * | `cell:<n>` | a token; to forget a URL is to put another in its cell's place |
 * | `tag:<id>` | the same for a tag |
 * | `tags` | the same for whatever was asked for before any tag was purged, but not stored yet |
 * | `prefixes` | a token, then prefixes that were purged, the latest last |
 * | `news` | a stream of all that was forgotten, for the memories of the gateways |
 *
 * Tokens are never made twice. So each of these keys may be thrown out at any time (allkeys-lru): an answer that was
 * stored under a token which is no longer there is no longer given.
 */
import { script } from './redis.ts';

/** Of tokens, and so of all that is stored under them. */
export const LONGEST_MS = 7 * 86_400_000;
/** A longer list begins anew, and all answers with it. */
const MOST_PREFIXES = 500;
/** Who has fallen back further than these forgets everything. */
const MOST_NEWS = 10_000;

const TOKENS = `
local space = KEYS[1]
local function tokenOf(name, new)
  local token = redis.call('GET', space .. name)
  if token then return token end
  redis.call('SET', space .. name, new, 'PX', ${LONGEST_MS})
  return new
end
local function change(name, new)
  redis.call('SET', space .. name, new, 'PX', ${LONGEST_MS})
end
local function beginList(new)
  redis.call('DEL', space .. 'prefixes')
  redis.call('RPUSH', space .. 'prefixes', new)
  redis.call('PEXPIRE', space .. 'prefixes', ${LONGEST_MS})
end
`;

/**
 * ARGV: id, cell, a new token. Replies: the time; the tokens of the cell, the list and the tags, and the list's length; the
 * names of the fields that choose; when the answer was made, its checksum, head and body, where one is stored and current.
 */
export const ASK = script(
  `${TOKENS}
local id, new = ARGV[1], ARGV[3]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local cell = tokenOf('cell:' .. ARGV[2], new)
local tags = tokenOf('tags', new)
local list = redis.call('LINDEX', space .. 'prefixes', 0)
if not list then
  beginList(new)
  list = new
end
local length = redis.call('LLEN', space .. 'prefixes')
local vary = redis.call('GET', space .. 'vary:' .. id)
local answer = redis.call('HMGET', space .. 'answer:' .. id, 'cell', 'list', 'since', 'tags', 'url', 'at', 'sum', 'head', 'body')
local function isCurrent()
  if answer[1] ~= cell or answer[2] ~= list or not (answer[3] and answer[4] and answer[5] and answer[6]) then return false end
  for tag, token in string.gmatch(answer[4], '(%S+)=(%S+)') do
    if redis.call('GET', space .. 'tag:' .. tag) ~= token then return false end
  end
  if tonumber(answer[3]) == length then return true end
  for _, prefix in ipairs(redis.call('LRANGE', space .. 'prefixes', answer[3], -1)) do
    if string.sub(answer[5], 1, #prefix) == prefix then return false end
  end
  return true
end
local reply = { now, cell, list, tags, tostring(length), vary }
if isCurrent() then
  for at = 6, 9 do reply[at + 1] = answer[at] end
end
return reply
`,
  true,
);

/**
 * ARGV: id, cell, the four that the asker was told (cell, list, tags, length), a new token, until it expires in ms, URL,
 * when it was made, checksum, head, body, id of the question and names of the fields that choose (both empty: none), most
 * answers to one question, ids of its tags.
 * Replies whether it is stored: not where something was forgotten since.
 */
export const PUT = script(`${TOKENS}
local id, cell, list, tags, since, new = ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if redis.call('GET', space .. 'cell:' .. ARGV[2]) ~= cell then return 0 end
if redis.call('LINDEX', space .. 'prefixes', 0) ~= list then return 0 end
if redis.call('GET', space .. 'tags') ~= tags then return 0 end
local marks = {}
for at = 17, #ARGV do marks[#marks + 1] = ARGV[at] .. '=' .. tokenOf('tag:' .. ARGV[at], new) end
local key = space .. 'answer:' .. id
redis.call('DEL', key)
redis.call('HSET', key, 'cell', cell, 'list', list, 'since', since, 'tags', table.concat(marks, ' '),
  'url', ARGV[9], 'at', ARGV[10], 'sum', ARGV[11], 'head', ARGV[12], 'body', ARGV[13])
redis.call('PEXPIRE', key, ARGV[8])
if ARGV[14] ~= '' then
  local chosen = space .. 'chosen:' .. ARGV[14]
  redis.call('SET', space .. 'vary:' .. ARGV[14], ARGV[15], 'PX', ARGV[8])
  redis.call('LREM', chosen, 0, id)
  redis.call('RPUSH', chosen, id)
  while redis.call('LLEN', chosen) > tonumber(ARGV[16]) do
    redis.call('DEL', space .. 'answer:' .. redis.call('LPOP', chosen))
  end
  redis.call('PEXPIRE', chosen, ARGV[8])
end
return 1
`);

const TELL = `
redis.call('XADD', space .. 'news', 'MAXLEN', '~', ${MOST_NEWS}, '*', 'from', ARGV[1], 'what', ARGV[2])
redis.call('PEXPIRE', space .. 'news', ${LONGEST_MS})
`;

/** ARGV: who tells, what, a new token; then pairs: `cell` and its number, `tag` and its id, `prefix` and it, `all` and anything. */
export const FORGET = script(`${TOKENS}
local new = ARGV[3]
for at = 4, #ARGV, 2 do
  local kind, what = ARGV[at], ARGV[at + 1]
  if kind == 'cell' then change('cell:' .. what, new) end
  if kind == 'tag' then
    change('tag:' .. what, new)
    change('tags', new)
  end
  if kind == 'prefix' then
    if redis.call('LLEN', space .. 'prefixes') > ${MOST_PREFIXES} then beginList(new) end
    if redis.call('EXISTS', space .. 'prefixes') == 1 then redis.call('RPUSH', space .. 'prefixes', what) end
  end
  if kind == 'all' then beginList(new) end
end
${TELL}
return 1
`);

/** ARGV: the id. One answer is no longer good. */
export const REMOVE = script(`return redis.call('DEL', KEYS[1] .. 'answer:' .. ARGV[1])`);

/**
 * ARGV: who tells, what, the latest news that were heard or ''. Where there are none it begins them. Replies the id to go on
 * from, and whether all since `heard` can still be read.
 */
export const FOLLOW = script(`local space = KEYS[1]
local heard = ARGV[3]
if heard ~= '' and #redis.call('XRANGE', space .. 'news', heard, heard) == 1 then
  redis.call('PEXPIRE', space .. 'news', ${LONGEST_MS})
  return { heard, 1 }
end
${TELL}
return { redis.call('XREVRANGE', space .. 'news', '+', '-', 'COUNT', 1)[1][1], 0 }
`);
