"""The state that a session begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.model import limits
from llmspell.model.keys import check_key
from llmspell.model.values import encode_value


def check_initial_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Keys and values as ``state.set_many`` takes them, by the keys' normal form. Raises InvalidInput, LimitExceeded
    (``too-many-keys``).
    """
    if not isinstance(state, Mapping):
        raise InvalidInput(f"state is a dict, not {type(state).__name__}", code="invalid-state")
    if len(state) > limits.BATCH_KEYS_MAX:
        raise LimitExceeded(
            f"{len(state):,} keys to begin with; at most {limits.BATCH_KEYS_MAX:,}", code="too-many-keys",
            hint="set the rest with state.set_many",
        )  # fmt: skip
    values = {check_key(key): value for key, value in state.items()}
    if len(values) != len(state):
        raise InvalidInput("two of the keys are spellings of one key", code="duplicate-key")
    for value in values.values():
        encode_value(value)  # Before anything is asked of hooks.
    return values
