"""Scope: who owns a piece of state. A scope is a kind and its ids; the ids may contain any character, ``:`` included.

The tree: global > user > session; workflow > step. Agent, tool, hook and custom scopes hang below global; a shared
scope is its members' and hangs nowhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.telling import told

_ARITY = {
    "global": 0, "user": 1, "session": 1, "agent": 1, "tool": 1, "workflow": 1, "step": 2, "hook": 1, "custom": 1,
    "shared": 1,
}  # fmt: skip
_ESCAPED = re.compile(r"[%:\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Scope:
    """Owner of state; use the constructors, ``Scope.agent("researcher")``. ``name`` is its unambiguous text."""

    kind: str
    ids: tuple[str, ...]
    name: str

    @staticmethod
    def of(kind: str, *ids: str) -> Scope:
        """The scope of this kind and ids. Raises InvalidInput (``invalid-scope``) on unknown kinds and bad ids."""
        return _scope(kind, ids)

    @staticmethod
    def user(user: str) -> Scope:
        """State of one user."""
        return _scope("user", (user,))

    @staticmethod
    def session(session_id: str) -> Scope:
        """State of one session, by its id."""
        return _scope("session", (session_id,))

    @staticmethod
    def agent(agent: str) -> Scope:
        """State of one agent."""
        return _scope("agent", (agent,))

    @staticmethod
    def tool(tool: str) -> Scope:
        """State of one tool."""
        return _scope("tool", (tool,))

    @staticmethod
    def workflow(workflow: str) -> Scope:
        """State of one workflow."""
        return _scope("workflow", (workflow,))

    @staticmethod
    def step(workflow: str, step: str) -> Scope:
        """State of one step of a workflow."""
        return _scope("step", (workflow, step))

    @staticmethod
    def hook(hook: str) -> Scope:
        """State that a hook keeps for itself."""
        return _scope("hook", (hook,))

    @staticmethod
    def custom(name: str) -> Scope:
        """A scope of the caller's own making."""
        return _scope("custom", (name,))

    @staticmethod
    def shared(name: str) -> Scope:
        """A scope that belongs to nobody; its members are those who were granted rights in it."""
        return _scope("shared", (name,))

    @staticmethod
    def parse(text: str) -> Scope:
        """The scope a person means by ``global``, ``agent:researcher`` or ``step:WORKFLOW:STEP``.

        Only the first colon splits (for ``step`` the first two), so ids may contain more of them. Text that begins
        with no known kind is a custom scope of that whole text.
        """
        if type(text) is not str or not text:
            raise InvalidInput("a scope is a non-empty text like 'global' or 'agent:NAME'", code="invalid-scope")
        kind, colon, rest = text.partition(":")
        kind = kind.lower()
        if kind == "global" and not colon:
            return GLOBAL
        if not colon or kind not in _ARITY or kind == "global":
            return Scope.custom(text)
        return _scope(kind, tuple(rest.split(":", _ARITY[kind] - 1)))

    @staticmethod
    def from_name(name: str) -> Scope:
        """The scope whose ``name`` this is; the inverse of ``.name``."""
        kind, *parts = name.split(":")
        return _scope(kind, tuple(re.sub(r"%([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), p) for p in parts))

    @property
    def parent(self) -> Scope | None:
        """The scope above by kind alone: workflow for a step, global for the rest, None for global and shared ones."""
        if self.kind in ("global", "shared"):
            return None
        return Scope.workflow(self.ids[0]) if self.kind == "step" else GLOBAL

    @property
    def text(self) -> str:
        """The scope as a person types it, which ``parse`` reads back; ``name`` where nothing typed means it (a step of
        a workflow whose id holds a colon).
        """
        plain = ":".join((self.kind, *self.ids))
        return plain if Scope.parse(plain) == self else self.name

    def __str__(self) -> str:
        return self.name


def _scope(kind: str, ids: tuple[str, ...]) -> Scope:
    try:
        return _known(kind, ids)
    except TypeError:  # what cannot be looked up among the known ones is no text
        raise InvalidInput(f"an id of a {kind} scope is a non-empty str", code="invalid-scope") from None


@lru_cache(maxsize=4096)
def _known(kind: str, ids: tuple[str, ...]) -> Scope:
    if kind not in _ARITY:
        raise InvalidInput(f"no scope kind {kind!r}; there are {', '.join(_ARITY)}", code="invalid-scope")
    if len(ids) != _ARITY[kind]:
        raise InvalidInput(f"a {kind} scope takes {_ARITY[kind]} ids, not {len(ids)}", code="invalid-scope")
    for one in ids:
        if type(one) is not str or not one:
            raise InvalidInput(f"an id of a {kind} scope is a non-empty str, not {told(one)}", code="invalid-scope")
        try:
            size = len(one.encode())
        except UnicodeEncodeError:
            raise InvalidInput(f"an id of a {kind} scope holds a lone surrogate", code="invalid-scope") from None
        if size > limits.SCOPE_ID_BYTES_MAX:
            raise InvalidInput(
                f"an id of a {kind} scope takes at most {limits.SCOPE_ID_BYTES_MAX} bytes", code="invalid-scope"
            )
    name = ":".join((kind, *(_ESCAPED.sub(lambda m: f"%{ord(m[0]):02X}", one) for one in ids)))
    return Scope(kind, ids, name)


GLOBAL = Scope("global", (), "global")
