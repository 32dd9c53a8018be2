"""Every size, depth and count that the store enforces, in one place. Units are the last word of each name."""

from __future__ import annotations

KEY_BYTES_MAX = 256
SCOPE_ID_BYTES_MAX = 512
VALUE_DEPTH_MAX = 128
EXTERNAL_BYTES_MAX = 1 << 20
EXTERNAL_DEPTH_MAX = 32
EPHEMERAL_KEYS_MAX = 10_000
VALUE_BYTES_MAX = 16 << 20
"""Largest encoded state value or event payload; larger content belongs in an artifact."""
STATE_INLINE_BYTES_MAX = 1024
"""A state row holds its value up to this size; above it, the row points to the entry."""
PAYLOAD_COMPRESS_BYTES_MIN = 512
SCAN_INLINE_BYTES = 16 << 10
"""Values up to this size, encoded, are looked through for secrets at once; longer ones on a thread, for asyncio."""
BATCH_KEYS_MAX = 10_000

NAME_CHARS_MAX = 255
DESCRIPTION_CHARS_MAX = 10_000
TAG_CHARS_MAX = 64
TAGS_MAX = 256
METADATA_BYTES_MAX = 1 << 20
EVENT_TYPE_CHARS_MAX = 256
PAGE_ROWS_MAX = 10_000
COUNT_MAX = 1000
"""Things counted one by one; what is more is said to be more, unless the exact number is asked for."""
SEARCH_CHARS_MAX = 1000
"""Longest text to search for."""
WORD_CHARS_MAX = 64
"""Words are told apart by so many of their characters."""
METADATA_CONDITIONS_MAX = 32
"""Fields of metadata that one query may ask for."""
TREE_SESSIONS_MAX = 1000
"""Sessions that a tree shows unless told otherwise."""
UNIT_BATCH_MAX = 512
"""Units that one commit carries at most."""
CONFLICT_RETRIES_MAX = 8
FORK_DEPTH_MAX = 24
"""Sessions that the history of a fork may go back to, one behind the other."""
BUSY_TIMEOUT_S = 30.0
TTL_S_MAX = 100 * 365 * 86400

AGENT_MESSAGES_SAVED_MAX = 10_000
"""Messages that one save of an agent's record may add."""
AGENT_TOOL_MS_MAX = 1e12
"""Longest time that one call of a tool may be said to have taken."""
ARTIFACT_RELATIVES_MAX = 50_000
"""Artifacts that a new relation is held against for a cycle."""
CAPTURE_RULES_MAX = 64
"""Capture rules of the store, and of each session."""
CAPTURE_RULES_BYTES_MAX = 256 << 10
"""All rules of one owner, encoded."""
CAPTURE_PATTERNS_MAX = 16
CAPTURE_PATTERN_CHARS_MAX = 256
CAPTURE_SAMPLE_BYTES = 64 << 10
"""So much of the beginning of content decides whether it is sampled."""
CAPTURE_VALUE_BYTES_MAX = 1 << 30
"""Largest JSON value, encoded, that is taken as one; more is offered as a stream."""
CAPTURE_STEP_BYTES = 256 << 10
"""In pieces of this size content in memory is looked through for secrets."""
ARTIFACT_GRANTS_MAX = 1000
"""Grants that the versions of one artifact may have at a time."""
BUNDLE_ARTIFACTS_MAX = 50_000
"""Versions that one bundle may hold: an import names all of them in one unit."""
BUNDLE_FIELDS_BYTES_MAX = 256 << 20
"""Bytes of the fields of all versions of a bundle; they are in memory together."""
BUNDLE_DIRECTORY_BYTES_MAX = 32 << 20
"""Largest directory of an archive that is read."""
ACCESS_GRANTS_MAX = 10_000
"""Rights that one principal may have passed on at a time; each right of each grant counts."""
ACCESS_RECORDS_PER_SECOND_MAX = 64
"""Kinds of access of one principal that are told apart in the audit within a second; the others share a record."""
