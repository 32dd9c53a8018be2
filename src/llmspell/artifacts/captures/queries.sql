-- What captures ask.

-- name: owners
-- Whose rules there are, and the entries that set them.
SELECT owner, seq FROM capture_rules WHERE owner IN (x'', ?)

-- name: rules
SELECT seq, rules FROM capture_rules WHERE owner = ?

-- name: delete_rules
DELETE FROM capture_rules WHERE owner = ?

-- name: insert_rules
INSERT INTO capture_rules (owner, seq, rules) VALUES (?, ?, ?)

-- name: count
SELECT captured, bytes FROM capture_count WHERE session = ? AND owner = ? AND rule = ?

-- name: add
INSERT INTO capture_count (session, owner, rule, captured, skipped, bytes) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (session, owner, rule) DO UPDATE SET captured = captured + excluded.captured,
  skipped = skipped + excluded.skipped, bytes = bytes + excluded.bytes

-- name: counts
SELECT owner, rule, captured, skipped, bytes FROM capture_count WHERE session = ? ORDER BY owner, rule

-- name: session_is_there
SELECT 1 FROM session WHERE id = ? AND until_seq IS NULL

-- name: entry_is_there
SELECT 1 FROM entry WHERE seq = ?

-- name: correlation
SELECT name FROM correlation WHERE id = ?

-- name: first_of
-- The entry that an artifact came with.
SELECT a.session, a.since_seq, e.actor FROM artifact a JOIN entry e ON e.seq = a.since_seq
WHERE a.id = ? ORDER BY a.since_seq LIMIT 1

-- name: import
-- The import that brought what a session had after an entry.
SELECT * FROM entry WHERE session = ? AND seq < ? AND +kind = 'session.imported' ORDER BY seq DESC LIMIT 1

-- name: sealed
SELECT id FROM artifact WHERE mime_type = ? AND until_seq IS NULL
