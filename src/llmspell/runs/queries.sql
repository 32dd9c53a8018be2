-- name: insert
INSERT INTO run (id, session, name, mode, status, attempt, started_seq, started_at, updated_at)
VALUES (?, ?, ?, ?, 'running', 1, ?, ?, ?);

-- name: resume
UPDATE run SET attempt = ?, status = 'running', reason = NULL, ended_at = NULL, updated_at = ? WHERE id = ?;

-- name: end
UPDATE run SET status = ?, reason = ?, ended_at = ?, updated_at = ? WHERE id = ?;

-- name: attempt
SELECT attempt FROM run WHERE id = ?;

-- name: one
SELECT id, session, name, mode, status, attempt, started_seq, started_at, updated_at, ended_at, reason
FROM run WHERE id = ?;

-- name: of_session
SELECT id, session, name, mode, status, attempt, started_seq, started_at, updated_at, ended_at, reason
FROM run WHERE session = ? ORDER BY started_seq DESC LIMIT ?;
