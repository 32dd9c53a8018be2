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
SELECT status FROM session WHERE id = ? AND until_seq IS NULL

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

-- name: labels
SELECT version, label FROM artifact_label WHERE session = ? AND name = ? AND until_seq IS NULL ORDER BY label

-- name: of_session
SELECT id, name, version FROM artifact WHERE session = ? AND until_seq IS NULL ORDER BY name, version

-- name: of_name
SELECT id, name, version FROM artifact WHERE session = ? AND name = ? AND until_seq IS NULL ORDER BY version

-- name: blob
SELECT size, stored_size, codec, inline, chunk_ids, chunks_digest, chunk_count FROM blob WHERE digest = ?
