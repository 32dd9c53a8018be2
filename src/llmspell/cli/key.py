"""``llmspell key``: the key that sensitive values are sealed with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from llmspell.cli.invocation import running
from llmspell.errors import InvalidInput, LlmspellError

if TYPE_CHECKING:
    from llmspell.security.care import KeyStatus

app = App(name="key", help="The key that sensitive values are sealed with; it is never inside a store.")


@app.command(name="status")
def status() -> None:
    """Show where the key comes from, and how many scopes have a key of their own."""
    with running.get().reading() as store:
        _show(store.keys.status())


@app.command(name="create")
def create() -> None:
    """Make the key now, instead of at the first sensitive write."""
    with running.get().changing() as store:
        _show(store.keys.create())


@app.command(name="export")
def export(
    path: Path, /, *,
    passphrase: Annotated[Path | None, Parameter(help="A file with a passphrase that opens what is written.")] = None,
) -> None:  # fmt: skip
    """Write the key, which is tried on the keyring first, to a new file that only you may read. Keep both where the
    store is not.
    """
    with running.get().reading() as store:
        store.keys.export(path, passphrase=_line(passphrase))
        keyring = store.keys.status().keyring
    told = f"with the keyring {keyring} it reads everything" if keyring else "the store has no keyring yet"
    running.get().out.done({"path": str(path), "keyring": keyring}, f"the key is in {path}: {told}")


@app.command(name="import")
def import_(
    path: Path, /, *,
    passphrase: Annotated[Path | None, Parameter(help="The file with the passphrase it was exported with.")] = None,
) -> None:  # fmt: skip
    """Put an exported key where the store looks for it. Bring the keyring back first: the key is tried on it."""
    with running.get().changing() as store:
        _show(store.keys.import_(path, passphrase=_line(passphrase)))


@app.command(name="rotate")
def rotate(
    *, to: Annotated[Path | None, Parameter(help="The file of the new key; without it, one is made.")] = None
) -> None:  # fmt: skip
    """Change the key: what is sealed stays as it is, only the keys of the scopes are wrapped anew."""
    with running.get().changing() as store:
        _show(store.keys.rotate(to))


def _line(path: Path | None) -> str | None:
    if path is None:
        return None
    from llmspell.security.sources import KEY_FILE_BYTES_MAX, read_key_file

    try:
        text = read_key_file(path)
        if len(text) < KEY_FILE_BYTES_MAX:
            return text.decode().rstrip("\r\n")
    except (LlmspellError, UnicodeDecodeError) as exc:
        raise InvalidInput(f"cannot read a passphrase from {path}", code="file-unreadable") from exc
    raise InvalidInput(f"a passphrase in a file takes less than {KEY_FILE_BYTES_MAX:,} bytes", code="file-unreadable")


def _show(found: KeyStatus) -> None:
    rows = [
        ("source", found.source),
        ("key", found.master or "none yet: made at the first sensitive write"),
        ("keyring", found.keyring or "none yet"),
        ("scopes with a key", found.keys),
        ("keys destroyed", found.erased),
        ("only the owner reads", "yes" if found.private else "NO: others may read the files"),
    ]
    running.get().out.fields(found.to_dict(), rows)
