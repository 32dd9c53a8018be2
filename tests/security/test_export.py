"""Exported keys."""

import base64
import traceback
from pathlib import Path

import pytest

from llmspell.errors import InvalidInput, LlmspellError, WrongKey
from llmspell.security import export
from llmspell.security.export import PREFIX, export_bare, export_key, import_key
from llmspell.security.keys import MasterKey
from llmspell.security.sources import InsecureKey, parse_key

KEY = MasterKey(bytes(range(180, 212)))
PASSPHRASE = "correct horse battery staple"
EXPORTED = (
    "llmspell-key-1:EQgB6WhjOf8KPWg6TgKdbwO2nrW4bD4N2Xet3MeQEnd2ls-n1p2awaVskZu9ZGiMY"
    "dsjSZUlbVBQSoN2NfLdPK9_vIaxZXNIAi_M0-Zx6urNt24="
)


@pytest.fixture
def cheap(monkeypatch):
    """Costs that a test can pay a hundred times."""
    monkeypatch.setattr(export, "_COST_LOG2", 4)


def test_a_key_exported_by_the_first_version_is_imported_for_ever():
    assert import_key(EXPORTED, PASSPHRASE) == KEY


def test_what_was_exported_is_imported_whatever_white_space_came_in(cheap):
    line = export_key(KEY, PASSPHRASE)
    assert line.startswith(PREFIX)
    assert import_key(f"  {line[:30]}\n{line[30:]}\r\n", PASSPHRASE) == KEY
    assert export_key(KEY, PASSPHRASE) != line


def test_the_same_passphrase_typed_on_another_machine_opens_it(cheap):
    assert import_key(export_key(KEY, "ke\u0301ys of b\u00e9b\u00e9"), "k\u00e9ys of be\u0301be\u0301") == KEY


def test_a_wrong_passphrase_is_told_from_a_mistyped_line(cheap):
    line = export_key(KEY, PASSPHRASE)
    with pytest.raises(WrongKey) as wrong:
        import_key(line, PASSPHRASE + "!")
    assert (wrong.value.code, wrong.value.exit_status) == ("wrong-passphrase", 12)
    for at in range(len(line)):
        mistyped = line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :]
        with pytest.raises(InvalidInput) as refused:
            import_key(mistyped, PASSPHRASE)
        assert refused.value.code == "invalid-key-export"


@pytest.mark.parametrize("text", ["", PREFIX, "llmspell-key-2:AAAA", PREFIX + "é", PREFIX + "A" * 4000, "ab" * 32])
def test_what_is_no_export_is_refused(text):
    with pytest.raises(InvalidInput) as refused:
        import_key(text, PASSPHRASE)
    assert refused.value.code == "invalid-key-export"


@pytest.mark.parametrize("costs", [(31, 8, 1), (3, 8, 1), (17, 255, 1), (17, 8, 255), (0, 0, 0)])
def test_an_export_that_asks_for_other_costs_is_refused_at_once(costs):
    body = bytes(costs) + bytes(16 + 12 + 48)
    line = PREFIX + base64.urlsafe_b64encode(body + export._checksum(body)).decode()
    with pytest.raises(InvalidInput) as refused:
        import_key(line, PASSPHRASE)
    assert refused.value.code == "invalid-key-export"


@pytest.mark.parametrize("passphrase", ["", "seven77", None, b"correct horse", "correct horse \ud800"])
def test_a_passphrase_that_is_too_short_is_refused(passphrase):
    with pytest.raises(InvalidInput) as refused:
        export_key(KEY, passphrase)
    assert refused.value.code == "weak-passphrase"


def test_a_bare_key_is_warned_about_and_read_back():
    with pytest.warns(InsecureKey):
        assert parse_key(export_bare(KEY).encode()) == KEY
    with pytest.warns(InsecureKey):
        assert parse_key(export_bare(KEY, "base64").encode()) == KEY
    with pytest.raises(InvalidInput):
        export_bare(KEY, "morse")


def test_no_error_shows_key_or_passphrase(cheap):
    line = export_key(KEY, PASSPHRASE)
    for call in (
        lambda: import_key(line, "another secret passphrase"),
        lambda: import_key(line[:-8], "another secret passphrase"),
        lambda: export_key(KEY, "secret"),
        lambda: import_key(line, "secret"),
    ):
        with pytest.raises(LlmspellError) as refused:
            call()
        stack = traceback.StackSummary.extract(traceback.walk_tb(refused.value.__traceback__), capture_locals=True)
        told = f"{refused.value!r} {[frame.locals for frame in stack if 'tests' not in Path(frame.filename).parts]}"
        assert "secret" not in told
