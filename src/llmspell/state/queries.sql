-- What the state room asks. A scope is its id; rows of deleted keys stay for their version.

-- name: row
SELECT version, seq, at, expires_at, deleted, value, check_sum, class FROM state WHERE scope = ? AND key = ?

-- name: artifact
SELECT 1 FROM artifact WHERE id = ? AND until_seq IS NULL

-- name: of_artifact
-- Changes that name an artifact, newest first.
SELECT seq FROM state_artifact WHERE artifact = ? AND seq < ? ORDER BY seq DESC LIMIT ?

-- name: page
SELECT key, version, seq, at, expires_at, deleted, value, check_sum, class FROM state
WHERE scope = ? AND key > ? AND key >= ? AND key < ? AND deleted = 0 AND (expires_at IS NULL OR expires_at > ?)
ORDER BY key LIMIT ?

-- name: live_keys
SELECT key, version, seq FROM state
WHERE scope = ? AND deleted = 0 AND (expires_at IS NULL OR expires_at > ?) ORDER BY key

-- name: expired
SELECT c.name, s.key, s.version, s.seq FROM state s JOIN scope c ON c.id = s.scope
WHERE s.expires_at <= ? AND s.deleted = 0 ORDER BY s.expires_at LIMIT ?

-- name: all_keys
-- Rows of keys that have a value or had one.
SELECT key, version, seq, at, expires_at, deleted, value, check_sum, class FROM state
WHERE scope = ? AND key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?

-- name: all_keys_then
-- The same, without the values of those that changed after an entry.
SELECT key, version, seq, at, expires_at, deleted, iif(seq > ?, NULL, value), check_sum, class FROM state
WHERE scope = ? AND key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?

-- name: changed
-- Keys of all scopes that were written since an entry, or whose time to live ran out before a moment.
SELECT s.scope, c.salt, c.name, s.key, s.version, s.seq, s.at, s.expires_at, s.deleted, s.value, s.check_sum, s.class
FROM state s JOIN scope c ON c.id = s.scope
WHERE (s.scope, s.key) > (?, ?) AND (s.seq > ? OR s.expires_at <= ?) ORDER BY s.scope, s.key LIMIT ?

-- name: changed_of
SELECT s.scope, c.salt, c.name, s.key, s.version, s.seq, s.at, s.expires_at, s.deleted, s.value, s.check_sum, s.class
FROM scope c CROSS JOIN state s
WHERE c.name = ? AND s.scope = c.id AND s.key > ? AND (s.seq > ? OR s.expires_at <= ?) ORDER BY s.key LIMIT ?

-- name: mark
-- The hash of the newest entry about any default class, which no other entry ever has.
SELECT e.hash FROM schema_newest n JOIN entry e ON e.seq = n.seq WHERE n.what = ?

-- name: default_class
-- The class of new keys of a scope, as of an entry.
SELECT class FROM state_default WHERE scope = ? AND since_seq <= ? ORDER BY since_seq DESC LIMIT 1
