"""How failures that must not harm an operation are made known: the ``llmspell`` logger, at warning level."""

from __future__ import annotations

import logging
from typing import Any

_log = logging.getLogger("llmspell")


def report_hook(info: Any, failure: Any) -> None:
    """A hook failed; the operation went on unless the hook says otherwise."""
    _log.warning("hook %s failed at %s: %s (%s)", info.name, failure.point, failure.message, failure.code)


def report_maintenance(task: str, error: BaseException) -> None:
    """A checkpoint or a task of maintenance failed; it is tried again when it can be."""
    _log.warning("maintenance: %s failed: %s", task, error)


def report_callback(failure: Any) -> None:
    """A subscriber's callback raised; its subscription goes on."""
    seq = failure.event.seq if failure.event is not None else "-"
    _log.warning("a callback for %s failed at event %s: %s", failure.pattern, seq, failure.error)


def report_secrets(key: str, found: Any) -> None:
    """A standard value looks as if it held secrets, and the store was opened to warn of it. The secret is not named."""
    _log.warning("the value of state key %r looks like a secret: %s at %s", key, found[0].kind, found[0].path)
