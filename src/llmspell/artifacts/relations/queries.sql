-- What relations ask. Both ways are bounded by the ids of one step.

-- name: insert
INSERT OR IGNORE INTO artifact_relation (source, kind, target, since_seq, until_seq, by_put) VALUES (?, ?, ?, ?, NULL, ?)

-- name: close
UPDATE artifact_relation SET until_seq = ? WHERE source = ? AND kind = ? AND target = ? AND until_seq IS NULL

-- name: open
SELECT by_put FROM artifact_relation WHERE source = ? AND kind = ? AND target = ? AND until_seq IS NULL

-- name: up
SELECT r.source, r.kind, r.target FROM json_each(?) w CROSS JOIN artifact_relation r ON r.source = unhex(w.value)
WHERE r.kind IN (SELECT value FROM json_each(?)) AND r.until_seq IS NULL LIMIT ?

-- name: down
SELECT r.source, r.kind, r.target FROM json_each(?) w
CROSS JOIN artifact_relation r INDEXED BY artifact_relation_target ON r.target = unhex(w.value)
WHERE r.kind IN (SELECT value FROM json_each(?)) AND r.until_seq IS NULL LIMIT ?

-- name: last_rows
-- The last row of each id, open or closed.
SELECT a.id, a.session, a.name, a.version, a.type, a.until_seq FROM json_each(?) w
CROSS JOIN artifact a ON a.id = unhex(w.value)
WHERE a.since_seq = (SELECT max(since_seq) FROM artifact l WHERE l.id = a.id)
