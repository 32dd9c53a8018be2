-- What the room of agent state asks. An agent is the id of its scope; rows hold from since_seq until until_seq, open
-- rows are the present. Values stand in the entries that the rows name. A part or message that still holds has until_seq 0.

-- name: head
SELECT version, seq, at, messages, next_number, deleted FROM agent_head WHERE id = ?

-- name: open_head
INSERT INTO agent_head (id, version, seq, at, messages, next_number, deleted) VALUES (?, ?, ?, ?, 0, 1, 0)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, seq = excluded.seq, at = excluded.at, messages = 0,
  next_number = 1, deleted = 0

-- name: stand
UPDATE agent_head SET version = ?, seq = ?, at = ?, messages = messages + ?, next_number = max(next_number, ?) WHERE id = ?

-- name: close_head
UPDATE agent_head SET version = ?, seq = ?, at = ?, messages = 0, next_number = 1, deleted = 1 WHERE id = ?

-- name: insert
INSERT INTO agent (id, since_seq, until_seq, agent_id, agent_type, created_at) VALUES (?, ?, NULL, ?, ?, ?)

-- name: retype
INSERT INTO agent (id, since_seq, until_seq, agent_id, agent_type, created_at)
SELECT id, ?, NULL, agent_id, ?, created_at FROM agent WHERE id = ? AND until_seq IS NULL AND since_seq < ?

-- name: close
UPDATE agent SET until_seq = ? WHERE id = ? AND until_seq IS NULL AND since_seq < ?

-- name: open_row
SELECT agent_id, agent_type, created_at FROM agent WHERE id = ? AND until_seq IS NULL

-- name: row_at
SELECT agent_id, agent_type, created_at FROM agent
WHERE id = ? AND since_seq <= ? AND (until_seq IS NULL OR until_seq > ?) ORDER BY since_seq DESC LIMIT 1

-- name: insert_part
INSERT INTO agent_part (id, until_seq, part, since_seq) VALUES (?, 0, ?, ?)

-- name: close_part
UPDATE agent_part SET until_seq = ? WHERE id = ? AND until_seq = 0 AND part = ?

-- name: close_parts
UPDATE agent_part SET until_seq = ? WHERE id = ? AND until_seq = 0

-- name: open_part
SELECT since_seq FROM agent_part WHERE id = ? AND until_seq = 0 AND part = ?

-- name: open_parts
SELECT part, since_seq FROM agent_part WHERE id = ? AND until_seq = 0 ORDER BY part

-- name: parts_at
SELECT part, since_seq FROM agent_part WHERE id = ?1 AND until_seq = 0 AND since_seq <= ?2
UNION ALL SELECT part, since_seq FROM agent_part WHERE id = ?1 AND until_seq > ?2 AND since_seq <= ?2

-- name: insert_message
INSERT INTO agent_message (id, until_seq, number, since_seq, entry_seq) VALUES (?, 0, ?, ?, ?)

-- name: count_messages
SELECT count(*) FROM agent_message WHERE id = ? AND until_seq = 0 AND number BETWEEN ? AND ?

-- name: close_messages
UPDATE agent_message SET until_seq = ? WHERE id = ? AND until_seq = 0 AND number BETWEEN ? AND ?

-- name: close_all_messages
UPDATE agent_message SET until_seq = ? WHERE id = ? AND until_seq = 0

-- name: open_messages
SELECT number, since_seq, entry_seq FROM agent_message WHERE id = ? AND until_seq = 0 ORDER BY number

-- name: messages_at
SELECT number, since_seq, entry_seq FROM agent_message WHERE id = ?1 AND until_seq = 0 AND since_seq <= ?2
UNION ALL SELECT number, since_seq, entry_seq FROM agent_message WHERE id = ?1 AND until_seq > ?2 AND since_seq <= ?2

-- name: some_messages
SELECT number, since_seq, entry_seq FROM agent_message
WHERE id = ? AND until_seq = 0 AND number > ? AND number < ? ORDER BY number LIMIT ?

-- name: last_messages
SELECT number, since_seq, entry_seq FROM agent_message
WHERE id = ? AND until_seq = 0 AND number > ? AND number < ? ORDER BY number DESC LIMIT ?

-- name: infos
SELECT a.agent_id, a.agent_type, h.version, h.messages, h.seq, a.created_at, h.at FROM agent a JOIN agent_head h ON h.id = a.id
WHERE a.agent_id > ? AND a.since_seq <= ? AND (a.until_seq IS NULL OR a.until_seq > ?) ORDER BY a.agent_id LIMIT ?

-- name: infos_of_type
SELECT a.agent_id, a.agent_type, h.version, h.messages, h.seq, a.created_at, h.at FROM agent a JOIN agent_head h ON h.id = a.id
WHERE a.agent_type = ? AND a.agent_id > ? AND a.since_seq <= ? AND (a.until_seq IS NULL OR a.until_seq > ?)
ORDER BY a.agent_id LIMIT ?

-- name: part_until
SELECT since_seq FROM agent_part WHERE id = ? AND until_seq = ? AND part = ?
