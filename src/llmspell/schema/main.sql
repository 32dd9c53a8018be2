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
CREATE INDEX session_open ON session (id) WHERE until_seq IS NULL;
-- These two are walked without a look at the rows; for that they have to know the column of their own condition.
CREATE INDEX session_since ON session (since_seq, created_at, until_seq) WHERE until_seq IS NULL;
CREATE INDEX session_created ON session (created_at, since_seq, until_seq) WHERE until_seq IS NULL;
CREATE INDEX session_closed ON session (until_seq) WHERE until_seq IS NOT NULL;
CREATE INDEX session_name ON session (name, since_seq) WHERE until_seq IS NULL;
CREATE INDEX session_status ON session (status, since_seq) WHERE until_seq IS NULL;
-- Not every session has it: those that have none cost nothing.
CREATE INDEX session_parent ON session (parent, since_seq) WHERE until_seq IS NULL AND parent IS NOT NULL;

-- Projection: the sessions that a fork goes back to, the nearest first, each up to an entry. A level never changes; it
-- ends with the fork.
CREATE TABLE fork_level (
  session   BLOB NOT NULL,
  depth     INTEGER NOT NULL,
  ancestor  BLOB NOT NULL,
  bound     INTEGER NOT NULL,
  since_seq INTEGER NOT NULL,
  until_seq INTEGER,
  PRIMARY KEY (session, depth)
) STRICT, WITHOUT ROWID;
CREATE INDEX fork_ancestor ON fork_level (ancestor);

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
-- By the beginning of a digest, which tells contents apart as well in half the room; whoever asks compares the whole.
CREATE INDEX artifact_digest ON artifact (substr(digest, 1, 8), since_seq);
-- What changed after a seq: what the lagging index of artifacts has not taken in yet, and what was closed since a page.
CREATE INDEX artifact_since ON artifact (since_seq);
CREATE INDEX artifact_closed ON artifact (until_seq) WHERE until_seq IS NOT NULL;

-- Projection: how much a session (or, owner empty, the store) may hold, and how much it holds. None: no bound.
CREATE TABLE artifact_quota (
  owner              BLOB PRIMARY KEY,
  artifact_bytes_max INTEGER,
  total_bytes_max    INTEGER,
  versions_max       INTEGER,
  used_bytes         INTEGER NOT NULL,
  used_versions      INTEGER NOT NULL
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

-- Projection: the newest entry about schemas, about bindings, and about default classes of state: whoever knows those by
-- heart asks here.
CREATE TABLE schema_newest (
  what TEXT PRIMARY KEY,
  seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What follows is made when a store first needs it: an empty table takes a page of 4 KiB for itself, and one for each index.

-- later: changes of artifacts
-- Projection: which changes of state name an artifact.
CREATE TABLE state_artifact (
  artifact BLOB NOT NULL,
  seq      INTEGER NOT NULL,
  PRIMARY KEY (artifact, seq)
) STRICT, WITHOUT ROWID;

-- later: defaults of state
-- Projection: the class that new keys of a scope get, from an entry on, until the scope's next row.
CREATE TABLE state_default (
  scope     INTEGER NOT NULL,
  since_seq INTEGER NOT NULL,
  class     TEXT NOT NULL,
  PRIMARY KEY (scope, since_seq)
) STRICT, WITHOUT ROWID;

-- later: session words
-- Lagging index of open sessions by what they have, and by their words: complete up to its watermark, as for terms of
-- entries. A row is known by the seq it holds from. Words come from model/words.py, folded: `ascii` only tells them apart
-- by the blanks.
CREATE TABLE session_term (
  term      INTEGER NOT NULL,
  since_seq INTEGER NOT NULL,
  PRIMARY KEY (term, since_seq)
) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE session_text USING fts5 (words, tokenize = 'ascii', columnsize = 0);

-- later: artifact forks
-- Projection, temporal: versions that a fork inherited and deleted.
CREATE TABLE artifact_dropped (
  session   BLOB NOT NULL,
  name      TEXT NOT NULL,
  version   INTEGER NOT NULL,
  since_seq INTEGER NOT NULL,
  until_seq INTEGER,
  PRIMARY KEY (session, name, version, since_seq)
) STRICT, WITHOUT ROWID;

-- later: labels
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

-- later: erased
-- Projection: versions whose content may go, and what that is.
CREATE TABLE artifact_erased (
  artifact BLOB PRIMARY KEY,
  digest   BLOB NOT NULL,
  seq      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_erased_digest ON artifact_erased (digest);

-- later: captures
-- Projection: which outputs become artifacts. Owner: a session, or x'' for the whole store.
CREATE TABLE capture_rules (
  owner BLOB PRIMARY KEY,
  seq   INTEGER NOT NULL,              -- of the entry that set them
  rules TEXT NOT NULL                  -- JSON, in the order in which they are asked
) STRICT, WITHOUT ROWID;

-- Projection: what each rule captured in a session, and what it skipped where that is recorded.
CREATE TABLE capture_count (
  session  BLOB NOT NULL,
  owner    BLOB NOT NULL,              -- whose rule it is
  rule     TEXT NOT NULL,              -- empty: no rule was about it
  captured INTEGER NOT NULL,
  skipped  INTEGER NOT NULL,
  bytes    INTEGER NOT NULL,           -- of what is stored
  PRIMARY KEY (session, owner, rule)
) STRICT, WITHOUT ROWID;

-- later: relations
-- Projection, temporal: what an artifact is to another: derived from it, its child, depending on it, a version of it.
CREATE TABLE artifact_relation (
  source    BLOB NOT NULL,
  kind      TEXT NOT NULL,
  target    BLOB NOT NULL,
  since_seq INTEGER NOT NULL,
  until_seq INTEGER,
  by_put    INTEGER NOT NULL,      -- 1: the entry that stored the source says it, and so it stays
  PRIMARY KEY (source, kind, target, since_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_relation_target ON artifact_relation (target, kind);

-- later: artifact grants
-- Projection, temporal: what a session may do with artifacts of another. Level: 1 read, 2 write, 3 admin.
CREATE TABLE artifact_grant (
  session    BLOB NOT NULL,            -- whose artifact it is
  name       TEXT NOT NULL,
  version    INTEGER NOT NULL,         -- 0: every version of the name, also later ones
  grantee    BLOB NOT NULL,
  granted_by BLOB NOT NULL,            -- empty: the store's owner
  since_seq  INTEGER NOT NULL,
  until_seq  INTEGER,
  level      INTEGER NOT NULL,
  expires_at INTEGER,
  PRIMARY KEY (session, name, version, grantee, granted_by, since_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_grant_open ON artifact_grant (grantee, session, name, version) WHERE until_seq IS NULL;
CREATE INDEX artifact_grant_of ON artifact_grant (session, name) WHERE until_seq IS NULL;

-- later: artifact words
-- Lagging index of artifacts, complete up to the watermark 'artifacts': as of that seq, a row for each that was there.
-- Its number is the seq of the entry that stored it, so numbers are in the order of creation.
CREATE TABLE artifact_found (
  number    INTEGER PRIMARY KEY,
  id        BLOB NOT NULL,
  since_seq INTEGER NOT NULL,          -- of the row in artifact
  size      INTEGER NOT NULL
) STRICT;
CREATE INDEX artifact_found_since ON artifact_found (since_seq);
CREATE INDEX artifact_found_size ON artifact_found (size);
CREATE TABLE artifact_named (
  name   TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (name, number)
) STRICT, WITHOUT ROWID;
-- Digests (of 47 bits) of what can be asked for exactly and no other index leads to: session, type, a tag, a field of the
-- metadata.
CREATE TABLE artifact_term (
  term   INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (term, number)
) STRICT, WITHOUT ROWID;
-- Words as in session_text.
CREATE VIRTUAL TABLE artifact_words USING fts5 (words, tokenize = 'ascii', columnsize = 0);
-- Groups of three characters of names.
CREATE VIRTUAL TABLE artifact_grams USING fts5 (name, tokenize = 'trigram', detail = none, columnsize = 0);

-- later: correlations
-- Projection: correlations by id, with the one they were opened under.
CREATE TABLE correlation (
  id     BLOB PRIMARY KEY,
  name   TEXT NOT NULL,
  parent BLOB,
  seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- later: runs
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

-- later: checkpoints
-- Projection: labels of a session's checkpoints.
CREATE TABLE checkpoint (
  session    BLOB NOT NULL,
  seq        INTEGER NOT NULL,
  label      TEXT NOT NULL,
  state_hash BLOB NOT NULL,
  at         INTEGER NOT NULL,
  PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;

-- later: agents
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

-- later: migrations
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

-- later: schemas
-- Projection: the versions of schemas that are registered; the schema itself is in the entry.
CREATE TABLE schema_version (
  name    TEXT NOT NULL,
  version TEXT NOT NULL,
  hash    TEXT NOT NULL,
  seq     INTEGER NOT NULL,
  PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX schema_version_seq ON schema_version (seq);

-- Projection, temporal: keys whose values are held against a version of a schema. Scope '' is every scope.
CREATE TABLE schema_binding (
  scope     TEXT NOT NULL,
  prefix    TEXT NOT NULL,
  since_seq INTEGER NOT NULL,
  until_seq INTEGER,
  name      TEXT NOT NULL,
  version   TEXT NOT NULL,
  PRIMARY KEY (scope, prefix, since_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX schema_binding_open ON schema_binding (scope, prefix) WHERE until_seq IS NULL;

-- later: access
-- Projection, temporal: one right that a principal was granted in a scope. Bits: 1 read, 2 write, 4 delete, 8 list.
CREATE TABLE access_grant (
  principal  TEXT NOT NULL,
  scope      TEXT NOT NULL,
  bit        INTEGER NOT NULL,
  granted_by TEXT NOT NULL,
  since_seq  INTEGER NOT NULL,
  until_seq  INTEGER,
  children   INTEGER NOT NULL,         -- 1: in the scopes directly below, too
  expires_at INTEGER,
  PRIMARY KEY (principal, scope, bit, granted_by, since_seq)
) STRICT, WITHOUT ROWID;
-- What a check asks: only open rows are in it, however many grants have ended.
CREATE INDEX access_grant_open ON access_grant (principal, scope) WHERE until_seq IS NULL;
CREATE INDEX access_grant_by ON access_grant (granted_by) WHERE until_seq IS NULL;
CREATE INDEX access_grant_scope ON access_grant (scope) WHERE until_seq IS NULL;
CREATE INDEX access_grant_since ON access_grant (since_seq) WHERE until_seq IS NULL;

-- Projection, temporal: what everybody may do in a scope; no open row means nothing.
CREATE TABLE access_boundary (
  scope     TEXT NOT NULL,
  since_seq INTEGER NOT NULL,
  until_seq INTEGER,
  rights    INTEGER NOT NULL,
  PRIMARY KEY (scope, since_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX access_boundary_open ON access_boundary (scope, rights) WHERE until_seq IS NULL;

-- Projection, temporal: principals that may do nothing at all.
CREATE TABLE access_cut_off (
  principal TEXT NOT NULL,
  since_seq INTEGER NOT NULL,
  until_seq INTEGER,
  PRIMARY KEY (principal, since_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX access_cut_off_open ON access_cut_off (principal) WHERE until_seq IS NULL;

-- Projection: which entries are about access, and whose: the audit's way into the journal.
CREATE TABLE access_record (
  seq       INTEGER PRIMARY KEY,
  principal TEXT NOT NULL,
  scope     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_record_principal ON access_record (principal);
CREATE INDEX access_record_scope ON access_record (scope);
