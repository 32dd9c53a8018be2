"""``llmspell demo``: the command around the demonstration."""

import pytest

import llmspell.demo.run


@pytest.fixture
def shown(monkeypatch):
    asked = []

    def run_demo(paths, folder, say):
        asked.append((paths, folder))
        say("first\x1b[2J")
        return {"verified": "bad" not in paths, "entries": 3}

    monkeypatch.setattr(llmspell.demo.run, "run_demo", run_demo)
    return asked


def test_it_tells_people_what_it_does_and_programs_what_came_of_it(ok, shown):
    assert ok("demo").out == "first\\x1b[2J\n"
    assert ok("demo", "--json").json == {"verified": True, "entries": 3}
    assert ok("demo", "-q").out == ""


def test_it_works_on_the_files_and_in_the_folder_that_are_named(ok, shown):
    ok("demo", "a.txt", "b.txt", "--store", "here")
    ok("demo")
    assert shown == [(["a.txt", "b.txt"], "here"), ([], None)]


def test_a_demonstration_that_went_wrong_exits_1(cli, shown):
    assert cli("demo", "bad").status == 1
