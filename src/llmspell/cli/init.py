"""``llmspell init``: make a store, for those who want to say how it is to be."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from llmspell.cli.invocation import running


def init(
    *,
    encrypt: Annotated[bool, Parameter(help="Seal all of its files, for ever, with a key that is not in it.")] = False,
) -> None:
    """Make a store; other commands make one as they go. One that is there stays as it is.

    With --encrypt the key is that of LLMSPELL_KEY (or LLMSPELL_KEY_FILE, LLMSPELL_KEY_COMMAND), else a new one in your
    key folder: `llmspell key export` saves it.
    """
    run = running.get()
    with run.changing(create=True, encrypt=encrypt) as store:
        made = {"path": str(store.path), "id": store.id, "encrypted": store.encrypted, "durability": store.durability}
        key = store.keys.status() if encrypt else None
    how = "" if key is None else f", encrypted by the key from {key.source}"
    run.out.done(made, f"the store is {made['path']}{how}", bare=made["path"])
