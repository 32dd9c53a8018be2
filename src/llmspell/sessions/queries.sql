-- What the sessions room asks. A row holds from since_seq until until_seq; open rows are the present.

-- name: insert
INSERT INTO session (id, since_seq, until_seq, name, description, status, reason, tags, metadata, config, created_by,
  parent, correlation, created_at, updated_at, started_at, ended_at)
VALUES (?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: close
UPDATE session SET until_seq = ? WHERE id = ? AND until_seq IS NULL

-- name: open_row
SELECT name, description, status, reason, tags, metadata, config, created_by, parent, correlation, created_at, updated_at,
  started_at, ended_at
FROM session WHERE id = ? AND until_seq IS NULL

-- name: insert_checkpoint
INSERT INTO checkpoint (session, seq, label, state_hash, at) VALUES (?, ?, ?, ?, ?)

-- name: checkpoint
SELECT seq FROM checkpoint WHERE session = ? AND label = ? AND seq <= ? ORDER BY seq DESC LIMIT 1

-- name: checkpoints
SELECT seq, label, state_hash, at FROM checkpoint WHERE session = ? AND seq <= ? ORDER BY seq

-- name: by_name
SELECT id FROM session WHERE name = ? AND until_seq IS NULL ORDER BY id DESC LIMIT 2

-- name: existed
SELECT 1 FROM session WHERE id = ? LIMIT 1

-- name: first_seq
SELECT min(since_seq) FROM session WHERE id = ?

-- name: info
SELECT s.id, s.name, s.description, s.status, s.reason, s.tags, s.metadata, s.config, s.created_by, s.parent, s.correlation,
  s.created_at, s.updated_at, s.started_at, s.ended_at,
  coalesce((SELECT entries FROM session_activity a WHERE a.session = s.id), 0)
    + (SELECT count(*) FROM entry e WHERE e.session = s.id
       AND e.seq > coalesce((SELECT seq FROM watermark WHERE name = 'terms'), 0)),
  (SELECT count(*) FROM artifact f WHERE f.session = s.id AND f.until_seq IS NULL),
  (SELECT coalesce(sum(size), 0) FROM artifact f WHERE f.session = s.id AND f.until_seq IS NULL), k.ancestor, k.bound
FROM session s LEFT JOIN fork_level k ON k.session = s.id AND k.depth = 1

-- name: live_state
SELECT t.key, t.value, t.seq FROM state t JOIN scope c ON c.id = t.scope
WHERE c.name = ? AND t.deleted = 0 AND (t.expires_at IS NULL OR t.expires_at > ?) ORDER BY t.key

-- name: insert_level
INSERT INTO fork_level (session, depth, ancestor, bound, since_seq) VALUES (?, ?, ?, ?, ?)

-- name: close_levels
UPDATE fork_level SET until_seq = ? WHERE session = ? AND until_seq IS NULL

-- name: row_at
-- A session as it was after an entry.
SELECT name, description, tags, metadata, config, created_by, parent FROM session
WHERE id = ?1 AND since_seq <= ?2 AND (until_seq IS NULL OR until_seq > ?2)

-- name: forks_of
SELECT session FROM fork_level WHERE ancestor = ? AND until_seq IS NULL ORDER BY session LIMIT ?

-- name: shredded
SELECT 1 FROM entry WHERE session = ? AND +kind = 'session.shredded' LIMIT 1

-- name: below
-- A session and all below it. UNION ends even where rows that were tampered with lead back to themselves.
WITH RECURSIVE below (id) AS (
  SELECT ?1 UNION SELECT s.id FROM below b JOIN session s INDEXED BY session_parent ON s.parent = b.id AND s.until_seq IS NULL
) SELECT id FROM below LIMIT ?2

-- name: inherits
-- Whether a session is a fork; one that was deleted inherits nothing, also when it came back from a bundle.
SELECT 1 FROM fork_level WHERE session = ? AND depth = 1 AND until_seq IS NULL
