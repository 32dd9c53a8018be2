-- The main file of a store: the journal, and the projections derived from it.
-- Times are nanoseconds since the Unix epoch; ids are 16 bytes, digests 32.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- Owners of state and other subjects. The salt makes subject digests unguessable once it is erased.
CREATE TABLE scope (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  salt BLOB NOT NULL
) STRICT;

CREATE TABLE entry (
  seq          INTEGER PRIMARY KEY,
  id           BLOB NOT NULL,
  at           INTEGER NOT NULL,
  clock        INTEGER NOT NULL,
  kind         TEXT NOT NULL,
  kind_version INTEGER NOT NULL,
  subject      BLOB NOT NULL,
  session      BLOB,
  correlation  BLOB NOT NULL,
  cause        INTEGER NOT NULL,
  actor        TEXT NOT NULL,
  codec        INTEGER NOT NULL,   -- 0 JSON text as it is, 1 zstd
  salt         BLOB,               -- NULL with the payload once that is erased
  payload      ANY,                -- TEXT for codec 0, so that a person can read it
  digest       BLOB,               -- kept only when the payload is erased
  prev         BLOB NOT NULL,
  hash         BLOB NOT NULL
) STRICT;
-- A secondary index of SQLite ends with the row's seq by itself, so these are (subject, seq) and (session, seq).
CREATE INDEX entry_subject ON entry (subject);
CREATE INDEX entry_session ON entry (session) WHERE session IS NOT NULL;

-- Lagging index of kind, correlation and cause: complete up to its watermark; queries scan the tail themselves.
CREATE TABLE term (
  term TEXT NOT NULL,
  seq  INTEGER NOT NULL,
  PRIMARY KEY (term, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE session_activity (
  session BLOB PRIMARY KEY,
  entries INTEGER NOT NULL,
  last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE watermark (
  name TEXT PRIMARY KEY,
  seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Projection: the current value of each key. A deleted key keeps its row and version, so that versions never repeat.
CREATE TABLE state (
  scope      INTEGER NOT NULL,
  key        TEXT NOT NULL,
  version    INTEGER NOT NULL,
  seq        INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  class      TEXT NOT NULL,
  expires_at INTEGER,
  deleted    INTEGER NOT NULL,
  value      TEXT,                 -- NULL: the value is in the entry
  check_sum  INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX state_expires ON state (expires_at) WHERE expires_at IS NOT NULL;

-- Projection, temporal: a session as it was from one entry until another.
CREATE TABLE session (
  id          BLOB NOT NULL,
  since_seq   INTEGER NOT NULL,
  until_seq   INTEGER,
  name        TEXT NOT NULL,
  description TEXT NOT NULL,
  status      TEXT NOT NULL,
  reason      TEXT,
  tags        TEXT NOT NULL,
  metadata    TEXT NOT NULL,
  config      TEXT NOT NULL,
  created_by  TEXT,
  parent      BLOB,
  correlation BLOB NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  started_at  INTEGER,
  ended_at    INTEGER,
  PRIMARY KEY (id, since_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_updated ON session (updated_at, id) WHERE until_seq IS NULL;
CREATE INDEX session_created ON session (id) WHERE until_seq IS NULL;
CREATE INDEX session_closed ON session (until_seq) WHERE until_seq IS NOT NULL;
CREATE INDEX session_name ON session (name) WHERE until_seq IS NULL;

-- Projection, temporal: one stored version of a named artifact.
CREATE TABLE artifact (
  id           BLOB NOT NULL,
  since_seq    INTEGER NOT NULL,
  until_seq    INTEGER,
  session      BLOB NOT NULL,
  name         TEXT NOT NULL,
  version      INTEGER NOT NULL,
  type         TEXT NOT NULL,
  mime_type    TEXT NOT NULL,
  description  TEXT NOT NULL,
  tags         TEXT NOT NULL,
  metadata     TEXT NOT NULL,
  derived_from TEXT NOT NULL,
  size         INTEGER NOT NULL,
  digest       BLOB NOT NULL,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  PRIMARY KEY (id, since_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_name ON artifact (session, name, version);
CREATE INDEX artifact_digest ON artifact (digest);

-- Projection, temporal: names for versions, like v1.
CREATE TABLE artifact_label (
  session   BLOB NOT NULL,
  name      TEXT NOT NULL,
  label     TEXT NOT NULL,
  since_seq INTEGER NOT NULL,
  until_seq INTEGER,
  version   INTEGER NOT NULL,
  PRIMARY KEY (session, name, label, since_seq)
) STRICT, WITHOUT ROWID;

-- Content by digest. Small content is inline; larger content is a list of chunks in the content file.
CREATE TABLE blob (
  id            INTEGER PRIMARY KEY,   -- not the digest: rows of kilobytes in the order of digests make a deep, slow tree
  digest        BLOB NOT NULL UNIQUE,
  size          INTEGER NOT NULL,
  stored_size   INTEGER NOT NULL,
  codec         INTEGER NOT NULL,
  inline        BLOB,
  chunk_count   INTEGER NOT NULL,
  chunk_ids     BLOB,
  chunks_digest BLOB
) STRICT;

-- Projection: correlations by id, with the one they were opened under.
CREATE TABLE correlation (
  id     BLOB PRIMARY KEY,
  name   TEXT NOT NULL,
  parent BLOB,
  seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Projection: runs of scripts. The attempt fences: only the newest one writes.
CREATE TABLE run (
  id          BLOB PRIMARY KEY,
  session     BLOB NOT NULL,
  name        TEXT NOT NULL,
  mode        TEXT NOT NULL,
  status      TEXT NOT NULL,
  attempt     INTEGER NOT NULL,
  started_seq INTEGER NOT NULL,
  started_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  ended_at    INTEGER,
  reason      TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX run_session ON run (session, started_seq);

-- Projection: labels of a session's checkpoints.
CREATE TABLE checkpoint (
  session    BLOB NOT NULL,
  seq        INTEGER NOT NULL,
  label      TEXT NOT NULL,
  state_hash BLOB NOT NULL,
  at         INTEGER NOT NULL,
  PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;

-- Projection, temporal: that an agent has a record, and its type. An agent is the id of its scope.
CREATE TABLE agent (
  id         INTEGER NOT NULL,
  since_seq  INTEGER NOT NULL,
  until_seq  INTEGER,
  agent_id   TEXT NOT NULL,
  agent_type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (id, since_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_name ON agent (agent_id);
CREATE INDEX agent_of_type ON agent (agent_type, agent_id);

-- Projection: how an agent's record stands now. A deleted one keeps its row and version, so that versions never repeat.
CREATE TABLE agent_head (
  id          INTEGER PRIMARY KEY,
  version     INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  messages    INTEGER NOT NULL,
  next_number INTEGER NOT NULL,
  deleted     INTEGER NOT NULL
) STRICT;

-- Projection, temporal: which entry holds a field of an agent's record, or the totals of a tool.
CREATE TABLE agent_part (
  id        INTEGER NOT NULL,
  until_seq INTEGER NOT NULL,   -- 0: it still holds; so the present lies together, however long the past
  part      TEXT NOT NULL,
  since_seq INTEGER NOT NULL,   -- and the entry that holds it
  PRIMARY KEY (id, until_seq, part)
) STRICT, WITHOUT ROWID;

-- Projection, temporal: which entry holds a message, in the order of a conversation.
CREATE TABLE agent_message (
  id        INTEGER NOT NULL,
  until_seq INTEGER NOT NULL,   -- 0: it still holds
  number    INTEGER NOT NULL,
  since_seq INTEGER NOT NULL,
  entry_seq INTEGER NOT NULL,
  PRIMARY KEY (id, until_seq, number)
) STRICT, WITHOUT ROWID;

-- Projection: registered migrations of values, one from each version of a schema to another. The entry holds it.
CREATE TABLE migration (
  name         TEXT NOT NULL,
  from_version TEXT NOT NULL,
  to_version   TEXT NOT NULL,
  hash         TEXT NOT NULL,
  seq          INTEGER NOT NULL,
  PRIMARY KEY (name, from_version, to_version)
) STRICT, WITHOUT ROWID;

-- Projection: plans that are or were applied. The attempt fences: only the newest one writes.
CREATE TABLE migration_run (
  id           BLOB PRIMARY KEY,
  name         TEXT NOT NULL,
  from_version TEXT NOT NULL,
  to_version   TEXT NOT NULL,
  status       TEXT NOT NULL,
  attempt      INTEGER NOT NULL,
  started_seq  INTEGER NOT NULL,
  restore_seq  INTEGER NOT NULL,
  rollback_seq INTEGER,
  plan_hash    TEXT NOT NULL,
  at_scope     TEXT,             -- how far it got: all up to this key of this scope is done
  at_key       TEXT,
  total        INTEGER NOT NULL,
  seen         INTEGER NOT NULL DEFAULT 0,
  changed      INTEGER NOT NULL DEFAULT 0,
  skipped      INTEGER NOT NULL DEFAULT 0,
  restored     INTEGER NOT NULL DEFAULT 0,
  left_alone   INTEGER NOT NULL DEFAULT 0,
  reason       TEXT,
  started_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  ended_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX migration_run_open ON migration_run (id) WHERE ended_at IS NULL;
CREATE INDEX migration_run_started ON migration_run (started_seq);
