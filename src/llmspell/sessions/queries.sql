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
-- Of a label, up to an entry, and not of a life before: a session that was deleted and imported again begins anew, with
-- a row that does not go on where another ended.
SELECT seq FROM checkpoint WHERE session = ?1 AND label = ?2 AND seq <= ?3 AND +seq > (
  SELECT since_seq FROM session s WHERE s.id = ?1 AND s.since_seq <= ?3 AND NOT EXISTS (
    SELECT 1 FROM session b WHERE b.until_seq = s.since_seq AND b.id = s.id) ORDER BY since_seq DESC LIMIT 1)
ORDER BY seq DESC LIMIT 1

-- name: checkpoints
-- The same of all labels.
SELECT seq, label, state_hash, at FROM checkpoint WHERE session = ?1 AND seq <= ?2 AND +seq > (
  SELECT since_seq FROM session s WHERE s.id = ?1 AND s.since_seq <= ?2 AND NOT EXISTS (
    SELECT 1 FROM session b WHERE b.until_seq = s.since_seq AND b.id = s.id) ORDER BY since_seq DESC LIMIT 1)
ORDER BY seq

-- name: life
-- The entry that the life of a session begins with which it has at an entry.
SELECT since_seq FROM session s WHERE s.id = ?1 AND s.since_seq <= ?2 AND NOT EXISTS (
  SELECT 1 FROM session b WHERE b.until_seq = s.since_seq AND b.id = s.id) ORDER BY since_seq DESC LIMIT 1

-- name: by_name
SELECT id FROM session INDEXED BY session_name WHERE name = ? AND until_seq IS NULL LIMIT 2

-- name: wrote
-- Whether there ever was a session of this id, deleted and shredded ones too.
SELECT 1 FROM entry WHERE session = ? LIMIT 1

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

-- name: indexed_until
SELECT seq FROM watermark WHERE name = ?

-- name: set_indexed
INSERT INTO watermark (name, seq) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq

-- name: opened
SELECT since_seq, length(description) + length(tags) + length(metadata) FROM session INDEXED BY session_since
WHERE until_seq IS NULL AND since_seq > ? ORDER BY since_seq LIMIT ?

-- name: closed
SELECT until_seq FROM session INDEXED BY session_closed WHERE until_seq > ? ORDER BY until_seq LIMIT ?

-- name: closed_between
SELECT since_seq, name, description, tags, metadata, created_by
FROM session INDEXED BY session_closed WHERE until_seq > ? AND until_seq <= ? AND since_seq <= ?

-- name: open_between
SELECT since_seq, name, description, tags, metadata, created_by
FROM session INDEXED BY session_since WHERE until_seq IS NULL AND since_seq > ? AND since_seq <= ? ORDER BY since_seq

-- name: every_row
SELECT since_seq, name, description, tags, metadata, created_by FROM session WHERE id = ?

-- name: add_terms
INSERT INTO session_term (term, since_seq) SELECT value ->> 0, value ->> 1 FROM json_each(?)

-- name: drop_term
DELETE FROM session_term WHERE term = ? AND since_seq = ?

-- name: add_words
INSERT INTO session_text (rowid, words) SELECT value ->> 0, value ->> 1 FROM json_each(?)

-- name: drop_words
DELETE FROM session_text WHERE rowid = ?

-- name: described_before
SELECT name, description, tags, metadata FROM session WHERE id = ? AND since_seq < ? ORDER BY since_seq DESC LIMIT 1

-- name: open_after
SELECT since_seq, name, description, tags, metadata, created_by
FROM session INDEXED BY session_since WHERE until_seq IS NULL AND since_seq > ? AND since_seq <= ?
ORDER BY since_seq LIMIT ?

-- name: has_term
SELECT 1 FROM session_term WHERE term = ? AND since_seq = ?

-- name: has_words
SELECT words FROM session_text WHERE rowid = ?

-- name: stray_terms
SELECT DISTINCT since_seq FROM session_term t
WHERE NOT EXISTS (SELECT 1 FROM session INDEXED BY session_since WHERE until_seq IS NULL AND since_seq = t.since_seq)
  AND since_seq NOT IN (SELECT since_seq FROM session INDEXED BY session_closed WHERE until_seq > ?)
LIMIT ?

-- name: stray_words
SELECT rowid FROM session_text t
WHERE NOT EXISTS (SELECT 1 FROM session INDEXED BY session_since WHERE until_seq IS NULL AND since_seq = t.rowid)
  AND rowid NOT IN (SELECT since_seq FROM session INDEXED BY session_closed WHERE until_seq > ?)
LIMIT ?

-- name: any_imported
-- Whether any session came in a bundle.
SELECT EXISTS (SELECT 1 FROM term WHERE term = 'k:session.imported')
  OR EXISTS (SELECT 1 FROM entry WHERE seq > coalesce((SELECT seq FROM watermark WHERE name = 'terms'), 0)
    AND +kind = 'session.imported')

-- name: merge_words
INSERT INTO session_text (session_text) VALUES ('optimize')

-- name: shredded
SELECT 1 FROM entry WHERE session = ? AND +kind = 'session.shredded' LIMIT 1

-- name: inherited
-- Whether a session was a fork after an entry.
SELECT 1 FROM fork_level WHERE session = ?1 AND depth = 1 AND (until_seq IS NULL OR until_seq > ?2)

-- name: inherits
-- Whether a session is a fork; one that was deleted inherits nothing, also when it came back from a bundle.
SELECT 1 FROM fork_level WHERE session = ? AND depth = 1 AND until_seq IS NULL

-- name: last_inside
-- The newest entry that was written in a session.
SELECT seq, at FROM entry WHERE session = ? ORDER BY seq DESC LIMIT 1

-- name: last_about
-- The newest entry about a subject, wherever it was written.
SELECT seq, at FROM entry WHERE subject = ? ORDER BY seq DESC LIMIT 1

-- name: subjects
-- What a session has, deleted or not, as the subjects of its entries: the session and its scope's name are given.
SELECT 'state/' || key FROM state WHERE scope = (SELECT id FROM scope WHERE name = ?2)
UNION SELECT 'artifact/' || name FROM artifact WHERE session = ?1
UNION SELECT 'checkpoint/' || label FROM checkpoint WHERE session = ?1
UNION SELECT 'session'
UNION SELECT 'default class'

-- name: runs_of
SELECT id FROM run WHERE session = ?
