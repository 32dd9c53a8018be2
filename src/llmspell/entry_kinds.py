"""All kinds of entries there are, each with what it does to the projections of its room."""

from __future__ import annotations

from itertools import chain

from llmspell.access.projection import KINDS as ACCESS_KINDS
from llmspell.agentstate.projection import KINDS as AGENT_KINDS
from llmspell.artifacts.projection import KINDS as ARTIFACT_KINDS
from llmspell.events.kinds import KINDS as EVENT_KINDS
from llmspell.journal.kinds import OWN, Kinds
from llmspell.migration.projection import KINDS as MIGRATION_KINDS
from llmspell.registry.projection import KINDS as SCHEMA_KINDS
from llmspell.runs.projection import KINDS as RUN_KINDS
from llmspell.sessions.projection import KINDS as SESSION_KINDS
from llmspell.shredding.projection import KINDS as SHREDDING_KINDS
from llmspell.state.projection import KINDS as STATE_KINDS

_ROOMS = (
    STATE_KINDS, SESSION_KINDS, ARTIFACT_KINDS, EVENT_KINDS, RUN_KINDS, AGENT_KINDS, ACCESS_KINDS, SCHEMA_KINDS,
    SHREDDING_KINDS, MIGRATION_KINDS,
)  # fmt: skip
KINDS = Kinds((*OWN, *chain.from_iterable(_ROOMS)))
