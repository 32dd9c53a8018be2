-- The content file of a store: chunks of large artifacts, each kept once by the digest of its bytes.
-- What is known about chunks is apart from their bytes, so that lists and scans touch few pages.

CREATE TABLE meta (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  format     INTEGER NOT NULL,
  generation INTEGER NOT NULL,       -- grows whenever chunks are removed
  next_chunk INTEGER NOT NULL,       -- ids are handed out once, also when what had them is gone
  next_pack  INTEGER NOT NULL
) STRICT;

-- Append-only files beside this one, for the far part of large contents: written once, not first to the WAL.
CREATE TABLE pack (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  size INTEGER NOT NULL              -- bytes that chunks may lie in; what follows was never finished
) STRICT;

CREATE TABLE chunk (
  id          INTEGER PRIMARY KEY,
  digest      BLOB NOT NULL UNIQUE,  -- BLAKE3 of the bytes before compression
  codec       INTEGER NOT NULL,      -- 0 raw, 1 zstd, 2 lz4, 3 gzip
  size        INTEGER NOT NULL,
  stored_size INTEGER NOT NULL,
  pack        INTEGER,               -- NULL: the bytes are in chunk_data
  position    INTEGER
) STRICT;

CREATE TABLE chunk_data (
  id   INTEGER PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;

INSERT INTO meta (one, format, generation, next_chunk, next_pack) VALUES (1, 1, 0, 1, 1);
