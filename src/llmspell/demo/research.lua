-- Reads the sources in this session, keeps statistics of words and word pairs as state, and writes a report whose
-- versions say what they were made from. It can be killed at any moment and resumed: what is done is not done again.

local CHUNK_BYTES = 16 * 1024
local TOP = 25

-- A hook that reacts to this script's own events: it runs after each one is committed, and keeps a log as state.
Hook.register("after_event_publish", function(ctx)
  if ctx.data.type == "research.source_done" then
    local seen = State.get("custom:research", "log") or array {}
    seen[#seen + 1] = ctx.data.data.name .. ": " .. ctx.data.data.words .. " words"
    State.set("custom:research", "log", seen)
  end
  return "continue"
end)

local function chunks_of(text)
  local chunks, start = {}, 1
  while start <= #text do
    local stop = math.min(start + CHUNK_BYTES - 1, #text)
    local newline = stop < #text and string.find(text, "\n", stop, true)
    stop = newline or stop
    chunks[#chunks + 1] = string.sub(text, start, stop)
    start = stop + 1
  end
  return chunks
end

local function count(chunk, words, pairs_)
  local total, previous = 0, nil
  for word in string.gmatch(string.lower(chunk), "%a%a%a+") do
    words[word] = (words[word] or 0) + 1
    if previous then
      local pair = previous .. " " .. word
      pairs_[pair] = (pairs_[pair] or 0) + 1
    end
    previous, total = word, total + 1
  end
  return total
end

local function top_of(counts)
  local names = {}
  for name, number in pairs(counts) do
    if number > 3 then names[#names + 1] = name end
  end
  table.sort(names, function(a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return a < b
  end)
  local top = {}
  for i = 1, math.min(TOP, #names) do top[names[i]] = counts[names[i]] end
  return top, names
end

local function report(done, words, names, phrases)
  local lines = { "# What the sources talk about", "", "Sources read: " .. #done, "" }
  for i = 1, math.min(TOP, #names) do
    lines[#lines + 1] = string.format("%2d. %-16s %6d", i, names[i], words[names[i]])
  end
  lines[#lines + 1] = ""
  for i = 1, math.min(TOP, #phrases) do lines[#lines + 1] = "- " .. phrases[i] end
  return table.concat(lines, "\n") .. "\n"
end

local session = Session.getCurrent()
local words, phrases, done = {}, {}, array {}
local total = 0

local sources, page = {}, {}
repeat
  page = Artifact.list({ paged = true, cursor = page.next_cursor })
  table.move(page.items, 1, #page.items, #sources + 1, sources)
until not page.next_cursor

for _, source in ipairs(sources) do
  if source.artifact_type == "user_input" then
    local text = Artifact.get(session, source.id).content
    local pieces = chunks_of(text)
    local here = 0
    for _, piece in ipairs(pieces) do here = here + count(piece, words, phrases) end
    total = total + here

    local top, names = top_of(words)
    local _, pair_names = top_of(phrases)
    State.set_many("session:" .. session, {
      ["words/" .. source.name] = here,
      ["words/total"] = total,
      ["top/words"] = top,
      ["chunks/" .. source.name] = #pieces,
    })

    done[#done + 1] = source.id
    Artifact.store(session, "agent_output", "report.md", report(done, words, names, pair_names), {
      mime_type = "text/markdown",
      tags = { "report" },
      lineage = { sources = done, words = total, made_at = os.time() },
    })
    Event.publish("research.source_done", { name = source.name, words = here, chunks = #pieces, sources = #done })
    print(string.format("%-28s %8d words in %3d chunks", source.name, here, #pieces))
  end
end

Session.update(session, { description = "Word statistics of " .. #done .. " sources" })
return { sources = #done, words = total }
