-- What finding asks, and what fills its index. Joins are CROSS where the order of the tables is the order of the answer.

-- name: watermark
SELECT seq FROM watermark WHERE name = 'artifacts'

-- name: set_watermark
INSERT INTO watermark (name, seq) VALUES ('artifacts', ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq

-- name: lag
SELECT count(*) FROM (SELECT 1 FROM artifact INDEXED BY artifact_since WHERE since_seq > ? LIMIT ?)
UNION ALL
SELECT count(*) FROM (SELECT 1 FROM artifact INDEXED BY artifact_closed WHERE until_seq > ? LIMIT ?)

-- name: next
-- The last of the next so many changes, and how many there are.
SELECT max(seq), count(*) FROM
  (SELECT since_seq AS seq FROM artifact INDEXED BY artifact_since WHERE since_seq > ? ORDER BY since_seq LIMIT ?)
UNION ALL
SELECT max(seq), count(*) FROM
  (SELECT until_seq AS seq FROM artifact INDEXED BY artifact_closed WHERE until_seq > ? ORDER BY until_seq LIMIT ?)

-- name: changed
SELECT id FROM artifact INDEXED BY artifact_since WHERE since_seq > ? AND since_seq <= ?
UNION
SELECT id FROM artifact INDEXED BY artifact_closed WHERE until_seq > ? AND until_seq <= ?

-- name: number
SELECT min(since_seq) FROM artifact WHERE id = ?

-- name: as_of
SELECT a.since_seq, a.session, a.name, a.type, a.size, a.description, a.tags, a.metadata
FROM (SELECT * FROM artifact WHERE id = ? AND since_seq <= ? ORDER BY since_seq DESC LIMIT 1) a
WHERE a.until_seq IS NULL OR a.until_seq > ?

-- name: insert_term
INSERT OR IGNORE INTO artifact_term (term, number) VALUES (?, ?)

-- name: delete_term
DELETE FROM artifact_term WHERE term = ? AND number = ?

-- name: put_found
-- Not OR REPLACE: that takes a savepoint, at which FTS5 writes out what it has gathered, for 20 µs each time.
INSERT INTO artifact_found (number, id, since_seq, size) VALUES (?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET since_seq = excluded.since_seq, size = excluded.size

-- name: delete_found
DELETE FROM artifact_found WHERE number = ?

-- name: insert_named
INSERT OR IGNORE INTO artifact_named (name, number) VALUES (?, ?)

-- name: delete_named
DELETE FROM artifact_named WHERE name = ? AND number = ?

-- name: put_words
INSERT OR REPLACE INTO artifact_words (rowid, words) VALUES (?, ?)

-- name: delete_words
DELETE FROM artifact_words WHERE rowid = ?

-- name: put_grams
INSERT OR REPLACE INTO artifact_grams (rowid, name) VALUES (?, ?)

-- name: delete_grams
DELETE FROM artifact_grams WHERE rowid = ?

-- name: ids_of_session
SELECT DISTINCT id FROM artifact WHERE session = ?

-- name: merge_words
INSERT INTO artifact_words (artifact_words) VALUES ('optimize')

-- name: merge_grams
INSERT INTO artifact_grams (artifact_grams) VALUES ('optimize')

-- name: columns
a.id, a.session, a.name, a.version, a.type, a.mime_type, a.description, a.tags, a.metadata, a.derived_from, a.size,
  a.digest, a.created_at, a.updated_at, b.stored_size, b.codec, a.since_seq

-- name: from_all
artifact_found f

-- name: from_updated
artifact_found f INDEXED BY artifact_found_since

-- name: from_size
artifact_found f INDEXED BY artifact_found_size

-- name: from_term
artifact_term t CROSS JOIN artifact_found f ON f.number = t.number

-- name: from_name
artifact_named n CROSS JOIN artifact_found f ON f.number = n.number

-- name: from_digest
-- The first row of an artifact has its number; content never changes, so it is there under the digest asked for.
artifact m INDEXED BY artifact_digest CROSS JOIN artifact_found f ON f.number = m.since_seq AND f.id = m.id

-- name: from_words
artifact_words w CROSS JOIN artifact_found f ON f.number = w.rowid

-- name: from_grams
artifact_grams g CROSS JOIN artifact_found f ON f.number = g.rowid

-- name: from_numbers
json_each(?) j CROSS JOIN artifact_found f ON f.number = j.value

-- name: joined
CROSS JOIN artifact a ON a.id = f.id AND a.since_seq = f.since_seq LEFT JOIN blob b ON b.digest = a.digest

-- name: tail
artifact a INDEXED BY artifact_since LEFT JOIN blob b ON b.digest = a.digest

-- name: of_session
artifact a INDEXED BY artifact_name LEFT JOIN blob b ON b.digest = a.digest

-- name: of_fork
artifact a LEFT JOIN blob b ON b.digest = a.digest

-- name: closed
artifact a INDEXED BY artifact_closed LEFT JOIN blob b ON b.digest = a.digest

-- name: count_term
-- The newest, as many as may be counted: how many, and how far back they reach.
SELECT count(*), min(number) FROM (SELECT number FROM artifact_term WHERE term = ? ORDER BY number DESC LIMIT ?)

-- name: count_name
SELECT count(*), min(number) FROM (SELECT number FROM artifact_named WHERE name = ? ORDER BY number DESC LIMIT ?)

-- name: count_digest
SELECT count(*), min(since_seq) FROM (SELECT since_seq FROM artifact INDEXED BY artifact_digest
  WHERE substr(digest, 1, 8) = substr(?, 1, 8) ORDER BY since_seq DESC LIMIT ?)

-- name: count_words
SELECT count(*) FROM (SELECT 1 FROM artifact_words WHERE artifact_words MATCH ? LIMIT ?)

-- name: words_matching
-- Oldest first: newest first FTS5 needs a quarter longer.
SELECT rowid FROM artifact_words WHERE artifact_words MATCH ? LIMIT ?

-- name: grams_matching
SELECT rowid FROM artifact_grams WHERE artifact_grams MATCH ? ORDER BY rowid DESC LIMIT ?

-- name: names_of
-- Folded names, from where FTS5 keeps them: it takes three times as long to hand them out.
SELECT c.id, c.c0 FROM json_each(?) j CROSS JOIN artifact_grams_content c ON c.id = j.value WHERE true

-- name: with_term
 AND EXISTS (SELECT 1 FROM artifact_term x WHERE x.term = ? AND x.number = c.id)

-- name: any_from_before
-- Whether any artifact is older than its first entry.
SELECT EXISTS (SELECT 1 FROM term WHERE term = 'k:session.imported')
  OR EXISTS (SELECT 1 FROM term WHERE term = 'k:artifact.adopted')
  OR EXISTS (SELECT 1 FROM entry WHERE seq > coalesce((SELECT seq FROM watermark WHERE name = 'terms'), 0)
    AND +kind IN ('session.imported', 'artifact.adopted'))

-- name: check_page
SELECT a.id FROM (SELECT DISTINCT id FROM artifact WHERE id > ? ORDER BY id LIMIT ?) a

-- name: found_row
SELECT id, since_seq, size FROM artifact_found WHERE number = ?

-- name: has_name
SELECT 1 FROM artifact_named WHERE name = ? AND number = ?

-- name: has_term
SELECT 1 FROM artifact_term WHERE term = ? AND number = ?

-- name: held_words
SELECT words FROM artifact_words WHERE rowid = ?

-- name: held_grams
SELECT name FROM artifact_grams WHERE rowid = ?

-- name: index_counts
SELECT (SELECT count(*) FROM artifact_found), (SELECT count(*) FROM artifact_named), (SELECT count(*) FROM artifact_term),
  (SELECT count(*) FROM artifact_words), (SELECT count(*) FROM artifact_grams)
