-- What the artifacts room asks. A row holds from since_seq until until_seq; open rows are the present.

-- name: insert
INSERT INTO artifact (id, since_seq, until_seq, session, name, version, type, mime_type, description, tags, metadata,
  derived_from, size, digest, created_at, updated_at)
VALUES (?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: close
UPDATE artifact SET until_seq = ? WHERE id = ? AND until_seq IS NULL

-- name: open_row
SELECT session, name, version, type, mime_type, description, tags, metadata, derived_from, size, digest, created_at, updated_at
FROM artifact WHERE id = ? AND until_seq IS NULL

-- name: last_version
SELECT max(version) FROM artifact WHERE session = ? AND name = ?

-- name: session_status
SELECT status, EXISTS (SELECT 1 FROM artifact_quota) FROM session WHERE id = ? AND until_seq IS NULL

-- name: of_this_life
-- Whether an artifact was stored in its session as that is now: one that was deleted may have been imported again, and
-- its rows then begin anew, not where the one before ended.
SELECT 1 FROM artifact WHERE id = ?2 AND since_seq > (
  SELECT max(since_seq) FROM (
    SELECT since_seq, lag(until_seq) OVER (ORDER BY since_seq) AS before FROM session WHERE id = ?1)
  WHERE before IS NOT since_seq) LIMIT 1

-- name: blob_form
SELECT stored_size, codec FROM blob WHERE digest = ?

-- name: insert_blob
INSERT OR IGNORE INTO blob (digest, size, stored_size, codec, inline, chunk_count, chunk_ids, chunks_digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: info
SELECT a.id, a.session, a.name, a.version, a.type, a.mime_type, a.description, a.tags, a.metadata, a.derived_from, a.size,
  a.digest, a.created_at, a.updated_at, b.stored_size, b.codec, b.inline, b.chunk_count, b.chunk_ids, b.chunks_digest, b.size
FROM artifact a LEFT JOIN blob b ON b.digest = a.digest

-- name: brief
SELECT a.id, a.session, a.name, a.version, a.type, a.mime_type, a.description, a.tags, a.metadata, a.derived_from, a.size,
  a.digest, a.created_at, a.updated_at, b.stored_size, b.codec
FROM artifact a LEFT JOIN blob b ON b.digest = a.digest

-- name: close_label
UPDATE artifact_label SET until_seq = ? WHERE session = ? AND name = ? AND label = ? AND until_seq IS NULL

-- name: close_labels_of
UPDATE artifact_label SET until_seq = ? WHERE session = ? AND name = ? AND version = ? AND until_seq IS NULL

-- name: insert_label
INSERT INTO artifact_label (session, name, label, since_seq, until_seq, version) VALUES (?, ?, ?, ?, NULL, ?)

-- name: label
SELECT version FROM artifact_label WHERE session = ? AND name = ? AND label = ? AND until_seq IS NULL

-- name: label_given_since
-- Whether a label was first given after an entry, and means nothing now.
SELECT 1 FROM artifact_label WHERE session = ? AND name = ? AND label = ?
GROUP BY label HAVING min(since_seq) > ? AND count(*) = count(until_seq)

-- name: labels
SELECT version, label FROM artifact_label WHERE session = ? AND name = ? AND until_seq IS NULL ORDER BY label

-- name: of_session
SELECT id, name, version FROM artifact WHERE session = ? AND until_seq IS NULL ORDER BY name, version

-- name: of_name
SELECT id, name, version FROM artifact WHERE session = ? AND name = ? AND until_seq IS NULL ORDER BY version

-- name: blob
SELECT size, stored_size, codec, inline, chunk_ids, chunks_digest, chunk_count FROM blob WHERE digest = ?

-- name: closed_row
-- The last row of an artifact, open or closed.
SELECT until_seq, session, name, version, type, mime_type, description, tags, metadata, derived_from, size, digest, created_at,
  updated_at
FROM artifact WHERE id = ? ORDER BY since_seq DESC LIMIT 1

-- name: revisions
-- Every row of an artifact, oldest first.
SELECT a.since_seq, a.until_seq, a.name, a.mime_type, a.description, a.tags, a.metadata, a.updated_at,
  (SELECT at FROM entry WHERE seq = a.until_seq)
FROM artifact a WHERE a.id = ? ORDER BY a.since_seq

-- name: erased
SELECT 1 FROM artifact_erased WHERE artifact = ?

-- name: insert_erased
INSERT OR IGNORE INTO artifact_erased (artifact, digest, seq) VALUES (?, ?, ?)

-- name: labels_closed_with
SELECT label FROM artifact_label WHERE session = ? AND name = ? AND version = ? AND until_seq = ? ORDER BY label

-- name: all_of_name
SELECT id, max(since_seq), until_seq, version FROM artifact WHERE session = ? AND name = ? GROUP BY id ORDER BY version

-- name: unerased
-- Versions of a session that were deleted up to an entry, and not for good.
SELECT a.id, a.name, a.version FROM artifact a INDEXED BY artifact_name
WHERE a.session = ?1 AND (a.name, a.version, a.id) > (?2, ?3, ?4) AND a.until_seq <= ?5
  AND NOT EXISTS (SELECT 1 FROM artifact l WHERE l.id = a.id AND l.since_seq > a.since_seq)
  AND NOT EXISTS (SELECT 1 FROM artifact_erased e WHERE e.artifact = a.id)
ORDER BY a.name, a.version, a.id LIMIT ?6

-- name: any_quota
SELECT EXISTS (SELECT 1 FROM artifact_quota)

-- name: quotas_for
SELECT owner, artifact_bytes_max, total_bytes_max, versions_max, used_bytes, used_versions FROM artifact_quota
WHERE owner IN (x'', ?) ORDER BY owner DESC

-- name: quota
SELECT artifact_bytes_max, total_bytes_max, versions_max, used_bytes, used_versions FROM artifact_quota WHERE owner = ?

-- name: insert_quota
INSERT INTO artifact_quota (owner, artifact_bytes_max, total_bytes_max, versions_max, used_bytes, used_versions)
VALUES (?, ?, ?, ?, ?, ?)

-- name: delete_quota
DELETE FROM artifact_quota WHERE owner = ?

-- name: count_quota
UPDATE artifact_quota SET used_bytes = used_bytes + ?, used_versions = used_versions + ? WHERE owner IN (x'', ?)

-- name: used_in_store
SELECT coalesce(sum(size), 0), count(*) FROM artifact WHERE until_seq IS NULL

-- name: used_in_session
SELECT coalesce(sum(size), 0), count(*) FROM artifact WHERE session = ? AND until_seq IS NULL

-- name: lost_content
-- A version whose content is needed and is not there.
SELECT a.digest, a.id FROM artifact a
WHERE NOT EXISTS (SELECT 1 FROM blob b WHERE b.digest = a.digest)
  AND NOT EXISTS (SELECT 1 FROM artifact_erased e WHERE e.artifact = a.id) LIMIT 1

-- name: blob_page
SELECT id, size, stored_size, chunk_count, chunk_ids, digest FROM blob WHERE id > ? ORDER BY id LIMIT ?

-- name: holding
-- How a content is held: 2 by a version that is there, 1 by one that can be undeleted or is history, 0 by none.
SELECT EXISTS (SELECT 1 FROM artifact_erased WHERE digest = ?1),
  coalesce((SELECT 2 FROM artifact WHERE substr(digest, 1, 8) = substr(?1, 1, 8) AND digest = ?1
    AND until_seq IS NULL LIMIT 1),
    (SELECT 1 FROM artifact a WHERE substr(a.digest, 1, 8) = substr(?1, 1, 8) AND a.digest = ?1
      AND NOT EXISTS (SELECT 1 FROM artifact_erased e WHERE e.artifact = a.id) LIMIT 1), 0)

-- name: blob_digest
SELECT digest FROM blob WHERE id = ?

-- name: delete_blob
DELETE FROM blob WHERE id = ?

-- name: blob_totals
SELECT count(*), coalesce(max(id), 0) FROM blob

-- name: last_row
SELECT id, session, name, version FROM artifact WHERE id = ? ORDER BY since_seq DESC LIMIT 1

-- name: is_named
SELECT 1 FROM artifact WHERE session = ? AND name = ? LIMIT 1

-- name: insert_dropped
INSERT INTO artifact_dropped (session, name, version, since_seq) VALUES (?, ?, ?, ?)

-- name: close_dropped
UPDATE artifact_dropped SET until_seq = ? WHERE session = ? AND name = ? AND version = ? AND until_seq IS NULL

-- name: dropped
SELECT since_seq FROM artifact_dropped WHERE session = ? AND name = ? AND version = ? AND until_seq IS NULL

-- name: dropped_of_name
-- Versions of a name that a fork inherited and dropped.
SELECT version FROM artifact_dropped WHERE session = ? AND name = ? AND until_seq IS NULL ORDER BY version

-- name: forks_with
-- Forks that show a version of an artifact: neither they nor one in between dropped it, or has its own in its place.
SELECT f.session FROM fork_level f INDEXED BY fork_ancestor JOIN artifact a ON a.id = ?2 AND a.session = f.ancestor
  AND a.since_seq <= f.bound AND (a.until_seq IS NULL OR a.until_seq > f.bound)
WHERE f.ancestor = ?1 AND f.until_seq IS NULL AND NOT EXISTS
  (SELECT 1 FROM artifact_dropped d WHERE d.session = f.session AND d.name = a.name AND d.version = a.version
    AND d.until_seq IS NULL)
  AND NOT EXISTS
  (SELECT 1 FROM artifact o WHERE o.session = f.session AND o.name = a.name AND o.version = a.version)
  AND NOT EXISTS
  (SELECT 1 FROM fork_level m CROSS JOIN artifact o ON o.session = m.ancestor AND o.name = a.name
    AND o.version = a.version AND o.since_seq <= m.bound WHERE m.session = f.session AND m.depth < f.depth)
  AND NOT EXISTS
  (SELECT 1 FROM fork_level m CROSS JOIN artifact_dropped d ON d.session = m.ancestor AND d.name = a.name
    AND d.version = a.version AND d.since_seq <= m.bound AND (d.until_seq IS NULL OR d.until_seq > m.bound)
    WHERE m.session = f.session AND m.depth < f.depth) LIMIT 20

-- name: labelled
-- Versions that labels of a session mean.
SELECT DISTINCT name, version FROM artifact_label WHERE session = ? AND until_seq IS NULL ORDER BY name, version

-- name: of_fork
-- Whether a version is a session's own.
SELECT 1 FROM artifact WHERE id = ? AND session = ? LIMIT 1

-- name: dropped_names
SELECT DISTINCT name FROM artifact_dropped WHERE session = ? AND until_seq IS NULL ORDER BY name

-- name: inherits
-- Whether a session is a fork; one that was deleted inherits nothing, also when it came back from a bundle.
SELECT 1 FROM fork_level WHERE session = ? AND depth = 1 AND until_seq IS NULL
