-- What migrations ask. A run of a plan is its id; it is open until it is completed or rolled back, and
-- open again while it is being taken back.

-- name: register
INSERT INTO migration (name, from_version, to_version, hash, seq) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (name, from_version, to_version) DO UPDATE SET hash = excluded.hash, seq = excluded.seq

-- name: registered
SELECT seq FROM migration WHERE name = ? ORDER BY from_version, to_version

-- name: all_registered
SELECT seq FROM migration ORDER BY name, from_version, to_version

-- name: registration
SELECT hash FROM migration WHERE name = ? AND from_version = ? AND to_version = ?

-- name: start
INSERT INTO migration_run (id, name, from_version, to_version, status, attempt, started_seq, restore_seq, plan_hash,
  total, started_at, updated_at) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)

-- name: resume
UPDATE migration_run SET attempt = ?, status = 'running', reason = NULL, updated_at = ? WHERE id = ?

-- name: batch
UPDATE migration_run SET at_scope = ?, at_key = ?, seen = ?, changed = ?, skipped = ?, updated_at = ? WHERE id = ?

-- name: complete
UPDATE migration_run SET status = 'completed', seen = ?, changed = ?, skipped = ?, updated_at = ?, ended_at = ? WHERE id = ?

-- name: fail
UPDATE migration_run SET status = 'failed', reason = ?, updated_at = ? WHERE id = ?

-- name: roll_back
-- A completed run is open again from here on.
UPDATE migration_run SET status = 'rolling_back', attempt = ?, rollback_seq = ?, updated_at = ?, ended_at = NULL WHERE id = ?

-- name: back_again
UPDATE migration_run SET attempt = ?, updated_at = ? WHERE id = ?

-- name: rolled_back
UPDATE migration_run SET status = 'rolled_back', restored = ?, left_alone = ?, updated_at = ?, ended_at = ? WHERE id = ?

-- name: run
SELECT id, name, from_version, to_version, status, attempt, started_seq, restore_seq, rollback_seq, plan_hash, at_scope,
  at_key, total, seen, changed, skipped, restored, left_alone, reason, started_at, updated_at, ended_at
FROM migration_run WHERE id = ?

-- name: open
SELECT id, status FROM migration_run WHERE ended_at IS NULL ORDER BY id LIMIT 1

-- name: last_begun
-- The run that was begun, or begun to be taken back, last before an entry.
SELECT id, restore_seq FROM migration_run WHERE started_seq < ?1
ORDER BY max(started_seq, iif(rollback_seq < ?1, rollback_seq, 0)) DESC LIMIT 1

-- name: last_step
-- What a run's last entry was, up to one of the journal.
SELECT kind FROM entry WHERE subject = ? AND seq <= ? ORDER BY seq DESC LIMIT 1

-- name: end_after
SELECT seq FROM entry WHERE subject = ? AND seq > ? AND kind IN ('migration.completed', 'migration.rolled_back')
ORDER BY seq LIMIT 1

-- name: any_key
SELECT 1 FROM state WHERE scope = (SELECT id FROM scope WHERE name = ?) AND key >= ? AND key < ? LIMIT 1

-- name: runs
SELECT id FROM migration_run WHERE started_seq < ? ORDER BY started_seq DESC LIMIT ?

-- name: completed_after
SELECT id FROM migration_run WHERE started_seq > ? AND name = ? AND status = 'completed' ORDER BY started_seq DESC

-- name: page_of_scope
SELECT s.scope, c.name, s.key, s.version, s.seq, s.at, s.expires_at, s.deleted, s.value, s.check_sum, s.class
FROM state s JOIN scope c ON c.id = s.scope
WHERE s.scope = ? AND s.key > ? AND s.key >= ? AND s.key < ? AND s.deleted = 0
  AND (s.expires_at IS NULL OR s.expires_at > ?) ORDER BY s.key LIMIT ?

-- name: page
SELECT s.scope, c.name, s.key, s.version, s.seq, s.at, s.expires_at, s.deleted, s.value, s.check_sum, s.class
FROM state s JOIN scope c ON c.id = s.scope
WHERE (s.scope, s.key) > (?, ?) AND s.key >= ? AND s.key < ? AND s.deleted = 0
  AND (s.expires_at IS NULL OR s.expires_at > ?) ORDER BY s.scope, s.key LIMIT ?

-- name: sealed_of_scope
SELECT s.scope, c.name, s.key, s.version, s.seq, s.at, s.expires_at, s.deleted, s.value, s.check_sum, s.class
FROM state s JOIN scope c ON c.id = s.scope
WHERE s.scope = ? AND s.key >= ? AND s.key < ? AND s.deleted = 0 AND s.class = 'sensitive'
  AND (s.expires_at IS NULL OR s.expires_at > ?) LIMIT 1

-- name: sealed
SELECT s.scope, c.name, s.key, s.version, s.seq, s.at, s.expires_at, s.deleted, s.value, s.check_sum, s.class
FROM state s JOIN scope c ON c.id = s.scope
WHERE s.key >= ? AND s.key < ? AND s.deleted = 0 AND s.class = 'sensitive'
  AND (s.expires_at IS NULL OR s.expires_at > ?) LIMIT 1

-- name: value
SELECT s.scope, c.name, s.key, s.version, s.seq, s.at, s.expires_at, s.deleted, s.value, s.check_sum, s.class
FROM state s JOIN scope c ON c.id = s.scope
WHERE s.scope = ? AND s.key = ? AND s.deleted = 0 AND (s.expires_at IS NULL OR s.expires_at > ?)

-- name: seq_of_key
SELECT seq FROM state WHERE scope = ? AND key = ?

-- name: count_of_scope
SELECT count(*), coalesce(sum(coalesce(length(s.value), (SELECT length(payload) FROM entry e WHERE e.seq = s.seq))), 0)
FROM state s WHERE s.scope = ? AND s.key >= ? AND s.key < ? AND s.deleted = 0 AND (s.expires_at IS NULL OR s.expires_at > ?)

-- name: count
SELECT count(*), coalesce(sum(coalesce(length(s.value), (SELECT length(payload) FROM entry e WHERE e.seq = s.seq))), 0)
FROM state s WHERE s.key >= ? AND s.key < ? AND s.deleted = 0 AND (s.expires_at IS NULL OR s.expires_at > ?)

-- name: agents
SELECT a.id, a.agent_id, h.version, h.seq FROM agent a JOIN agent_head h ON h.id = a.id
WHERE a.agent_id > ? AND a.agent_id >= ? AND a.agent_id < ? AND a.until_seq IS NULL ORDER BY a.agent_id LIMIT ?

-- name: agent
SELECT a.id, a.agent_id, h.version, h.seq FROM agent a JOIN agent_head h ON h.id = a.id
WHERE a.agent_id = ? AND a.until_seq IS NULL

-- name: head_of_agent
SELECT version, seq, deleted FROM agent_head WHERE id = ?

-- name: open_parts
SELECT part, since_seq FROM agent_part WHERE id = ? AND until_seq = 0

-- name: open_fields
SELECT since_seq FROM agent_part WHERE id = ? AND until_seq = 0 AND part NOT LIKE 'tool/%'

-- name: count_of_agents
SELECT count(*) FROM agent WHERE agent_id >= ? AND agent_id < ? AND until_seq IS NULL
