"""What holds for every test: it sees no settings and no files of the person who runs it, and nobody times it."""

import os

import pytest
from hypothesis import settings

# A deadline would be a timed assert. On CI examples are derived from the test alone, so that a failure there is of the
# submission and repeats; everywhere else new examples are searched for.
settings.register_profile("llmspell", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("llmspell")


@pytest.fixture(scope="session", autouse=True)
def _alone(tmp_path_factory):
    """An empty home, no settings of ours from outside, plain output of a fixed width."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("LLMSPELL_", "XDG_"))]:
            patch.delenv(name)
        for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(home))
        patch.setenv("USERPROFILE", str(home))
        patch.setenv("NO_COLOR", "1")
        patch.setenv("COLUMNS", "120")
        yield
