"""``llmspell --install-completion``."""

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_knows_commands_and_options_of_every_group(ok, tmp_path, shell):
    told = ok("--install-completion", "--shell", shell, "--output", "script", "--json").json
    assert told == {"shell": shell, "path": str(tmp_path / "script")}
    script = (tmp_path / "script").read_text()
    for word in ("artifact", "suspend", "--all-versions" if shell != "fish" else "all-versions"):
        assert word in script
    assert [path.name for path in tmp_path.iterdir()] == ["script"]


def test_a_shell_that_cannot_be_told_is_asked_for(cli, monkeypatch):
    from cyclopts.completion import detect

    def unknown():
        raise detect.ShellDetectionError("none")

    monkeypatch.setattr(detect, "detect_shell", unknown)
    ran = cli("--install-completion")
    assert ran.status == 2
    assert "--shell" in ran.err
    assert cli("--install-completion", "--shell", "odd").status == 2
