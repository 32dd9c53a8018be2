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
