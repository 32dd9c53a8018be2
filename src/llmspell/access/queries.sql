-- What the access room asks. The largest of each bit together are the mask of rights (sum(DISTINCT bit) would say the
-- same and take ten times as long). The indexes are named because the planner takes the primary key, and so would walk
-- over all that has ended; a probe of an index is 0.8 µs, ORDER BY … LIMIT 1 over the key 4 µs.

-- name: cut
SELECT EXISTS (SELECT 1 FROM access_cut_off INDEXED BY access_cut_off_open WHERE principal = ? AND until_seq IS NULL)

-- name: held
-- Is the principal cut off; what everybody, what it directly, and what it from the scope above may do.
SELECT
  EXISTS (SELECT 1 FROM access_cut_off INDEXED BY access_cut_off_open
   WHERE principal = ? AND until_seq IS NULL) AS cut,
  (SELECT rights FROM access_boundary INDEXED BY access_boundary_open
   WHERE scope = ? AND until_seq IS NULL) AS everybody,
  (SELECT max(bit & 1) + max(bit & 2) + max(bit & 4) + max(bit & 8) FROM access_grant INDEXED BY access_grant_open
   WHERE principal = ? AND scope = ? AND until_seq IS NULL AND (expires_at IS NULL OR expires_at > ?)) AS granted,
  (SELECT max(bit & 1) + max(bit & 2) + max(bit & 4) + max(bit & 8) FROM access_grant INDEXED BY access_grant_open
   WHERE principal = ? AND scope = ? AND until_seq IS NULL AND (expires_at IS NULL OR expires_at > ?)
   AND children = 1) AS above

-- name: held_in_session
-- The same for a session's scope, whose place in the tree its row says: below the user that it was created by, else below
-- global. Once it is deleted it lies below nothing: what was closed is not to open with its row.
SELECT
  EXISTS (SELECT 1 FROM access_cut_off INDEXED BY access_cut_off_open
   WHERE principal = ? AND until_seq IS NULL) AS cut,
  (SELECT rights FROM access_boundary INDEXED BY access_boundary_open
   WHERE scope = ? AND until_seq IS NULL) AS everybody,
  (SELECT max(bit & 1) + max(bit & 2) + max(bit & 4) + max(bit & 8) FROM access_grant INDEXED BY access_grant_open
   WHERE principal = ? AND scope = ? AND until_seq IS NULL AND (expires_at IS NULL OR expires_at > ?)) AS granted,
  (SELECT max(bit & 1) + max(bit & 2) + max(bit & 4) + max(bit & 8) FROM access_grant INDEXED BY access_grant_open
   WHERE principal = ? AND scope = (
     SELECT CASE WHEN created_by GLOB 'user:?*' THEN 'user:' || replace(replace(substr(created_by, 6), '%', '%25'), ':', '%3A')
      ELSE 'global' END FROM session INDEXED BY session_open WHERE id = ? AND until_seq IS NULL)
   AND until_seq IS NULL AND (expires_at IS NULL OR expires_at > ?) AND children = 1) AS above

-- name: above_session
SELECT CASE WHEN created_by GLOB 'user:?*' THEN 'user:' || replace(replace(substr(created_by, 6), '%', '%25'), ':', '%3A')
 ELSE 'global' END FROM session INDEXED BY session_open WHERE id = ? AND until_seq IS NULL

-- name: about
-- Whether the journal has anything about a subject.
SELECT 1 FROM entry WHERE subject = ? LIMIT 1

-- name: boundary
SELECT rights FROM access_boundary INDEXED BY access_boundary_open WHERE scope = ? AND until_seq IS NULL

-- name: open_of
-- What one principal holds in one scope, from whom and until when.
SELECT principal, scope, bit, granted_by, since_seq, children, expires_at
FROM access_grant INDEXED BY access_grant_open WHERE principal = ? AND scope = ? AND until_seq IS NULL

-- name: open_by
SELECT principal, scope, bit, granted_by, since_seq, children, expires_at FROM access_grant
WHERE granted_by = ? AND until_seq IS NULL

-- name: open_in
SELECT principal, scope, bit, granted_by, since_seq, children, expires_at FROM access_grant INDEXED BY access_grant_scope
WHERE scope = ? AND until_seq IS NULL

-- name: open_to
SELECT principal, scope, bit, granted_by, since_seq, children, expires_at FROM access_grant INDEXED BY access_grant_open
WHERE principal = ? AND until_seq IS NULL

-- name: count_by
SELECT count(*) FROM access_grant WHERE granted_by = ? AND until_seq IS NULL AND (expires_at IS NULL OR expires_at > ?)

-- name: grants
-- Open grants, a row for each right, newest first. What is asked for comes last.
SELECT principal, scope, bit, granted_by, since_seq, children, expires_at FROM access_grant
WHERE until_seq IS NULL AND (expires_at IS NULL OR expires_at > ?) AND since_seq < ? AND {}
ORDER BY since_seq DESC, principal, scope, granted_by LIMIT ?

-- name: records
-- Seqs of entries about access, newest first.
SELECT seq FROM access_record WHERE seq < ? AND {} ORDER BY seq DESC LIMIT ?

-- name: boundaries
SELECT scope, rights FROM access_boundary INDEXED BY access_boundary_open WHERE until_seq IS NULL ORDER BY scope LIMIT ?

-- name: cut_offs
SELECT principal FROM access_cut_off INDEXED BY access_cut_off_open WHERE until_seq IS NULL ORDER BY principal LIMIT ?
