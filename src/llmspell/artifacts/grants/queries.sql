-- What grants ask. The indexes are named, because the planner would take the primary key and walk over all that ended.

-- name: insert
INSERT INTO artifact_grant (session, name, version, grantee, granted_by, since_seq, until_seq, level, expires_at)
VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?)

-- name: close
UPDATE artifact_grant SET until_seq = ?
WHERE session = ? AND name = ? AND version = ? AND grantee = ? AND granted_by = ? AND until_seq IS NULL

-- name: rename
INSERT INTO artifact_grant (session, name, version, grantee, granted_by, since_seq, until_seq, level, expires_at)
SELECT session, ?, version, grantee, granted_by, ?, NULL, level, expires_at
FROM artifact_grant INDEXED BY artifact_grant_of WHERE session = ? AND name = ? AND until_seq IS NULL

-- name: close_all
UPDATE artifact_grant SET until_seq = ? WHERE session = ? AND name = ? AND since_seq < ? AND until_seq IS NULL

-- name: held
-- What a session may do with a version now, from whomever.
SELECT coalesce(max(level), 0) FROM artifact_grant INDEXED BY artifact_grant_open
WHERE grantee = ? AND session = ? AND name = ? AND version IN (0, ?) AND until_seq IS NULL
  AND (expires_at IS NULL OR expires_at > ?)

-- name: place
-- Whose artifact it is, and its name now, or at its last.
SELECT session, name, version, until_seq FROM artifact WHERE id = ? ORDER BY since_seq DESC LIMIT 1

-- name: open_of
SELECT version, grantee, granted_by, since_seq, level, expires_at FROM artifact_grant INDEXED BY artifact_grant_of
WHERE session = ? AND name = ? AND until_seq IS NULL ORDER BY since_seq

-- name: open_for
SELECT session, name, version, granted_by, since_seq, level, expires_at FROM artifact_grant INDEXED BY artifact_grant_open
WHERE grantee = ? AND until_seq IS NULL AND (expires_at IS NULL OR expires_at > ?)
  AND (session, name, version, granted_by) > (?, ?, ?, ?)
ORDER BY session, name, version, granted_by LIMIT ?

-- name: open_of_session
SELECT name, version, grantee, granted_by, since_seq, level, expires_at FROM artifact_grant INDEXED BY artifact_grant_of
WHERE session = ? AND until_seq IS NULL ORDER BY name, since_seq

-- name: open_to_session
SELECT session, name, version FROM artifact_grant INDEXED BY artifact_grant_open
WHERE grantee = ? AND until_seq IS NULL ORDER BY session, name, version

-- name: session_is_there
SELECT 1 FROM session WHERE id = ? AND until_seq IS NULL

-- name: name_is_there
SELECT 1 FROM artifact WHERE session = ? AND name = ? AND until_seq IS NULL LIMIT 1

-- name: records
-- Seqs of entries about an artifact's grants, and about their use, newest first.
SELECT seq FROM (SELECT seq FROM entry WHERE subject = ? AND seq < ? ORDER BY seq DESC LIMIT ?)
UNION SELECT seq FROM (SELECT seq FROM access_record WHERE scope = ? AND seq < ? ORDER BY seq DESC LIMIT ?)
ORDER BY seq DESC LIMIT ?
