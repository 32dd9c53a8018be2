-- What the registry asks. A scope is its name here, empty for every scope: it may never have been used.

-- name: newest
SELECT seq FROM schema_newest WHERE what = ?

-- name: mark
-- The hash of the newest entry, which no other entry ever has.
SELECT e.hash FROM schema_newest n JOIN entry e ON e.seq = n.seq WHERE n.what = ?

-- name: schemas
SELECT seq FROM schema_version WHERE seq > ? ORDER BY seq LIMIT ?

-- name: hash_of
SELECT hash FROM schema_version WHERE name = ? AND version = ?

-- name: open
-- What is bound now.
SELECT scope, prefix, since_seq, name, version FROM schema_binding INDEXED BY schema_binding_open
WHERE until_seq IS NULL ORDER BY scope, prefix

-- name: open_schemas
-- The same with the entries that hold the schemas.
SELECT b.scope, b.prefix, b.since_seq, v.seq AS schema_seq FROM schema_binding b INDEXED BY schema_binding_open
JOIN schema_version v ON v.name = b.name AND v.version = b.version WHERE b.until_seq IS NULL

-- name: open_one
SELECT name, version, since_seq FROM schema_binding INDEXED BY schema_binding_open
WHERE scope = ? AND prefix = ? AND until_seq IS NULL

-- name: at
-- What was bound to a key of a scope when an entry was written, the most specific first.
SELECT scope, prefix, since_seq, name, version FROM schema_binding
WHERE scope IN (?1, '') AND since_seq < ?3 AND (until_seq IS NULL OR until_seq > ?3)
  AND substr(?2, 1, length(prefix)) = prefix
ORDER BY scope = '', length(prefix) DESC LIMIT 1

-- name: of_scope
SELECT prefix FROM schema_binding INDEXED BY schema_binding_open WHERE scope = ? AND until_seq IS NULL ORDER BY prefix

-- name: of_scope_at
-- What was bound to a scope's own keys when an entry was written.
SELECT prefix, name, version FROM schema_binding
WHERE scope = ?1 AND since_seq <= ?2 AND (until_seq IS NULL OR until_seq > ?2) ORDER BY prefix
