-- What bundles ask.

-- name: labels_of
SELECT label FROM artifact_label WHERE session = ? AND name = ? AND version = ? AND until_seq IS NULL ORDER BY label

-- name: relations_of
SELECT kind, target FROM artifact_relation WHERE source = ? AND by_put = 0 AND until_seq IS NULL ORDER BY kind, target

-- name: session_is_there
SELECT 1 FROM session WHERE id = ? AND until_seq IS NULL

-- name: insert_blob
INSERT OR IGNORE INTO blob (digest, size, stored_size, codec, inline, chunk_count, chunk_ids, chunks_digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
