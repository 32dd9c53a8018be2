"""The demo: killed half way, resumed in another process, and nothing of it done twice."""

import pytest

import llmspell
from llmspell.demo.run import run_demo
from llmspell.demo.sources import BYTES_MIN, bundled, given


@pytest.fixture
def texts(tmp_path):
    paths = []
    for number in range(8):
        path = tmp_path / f"text-{number}.txt"
        path.write_text(f"the bees of hive {number} dance and dance and dance again\n" * 400, "utf-8")
        paths.append(str(path))
    return paths


def test_every_python_has_a_megabyte_of_text_for_it():
    paths = bundled()
    assert sum(path.stat().st_size for path in paths) >= BYTES_MIN
    assert len(given([str(path) for path in paths if path.name != "__init__.py"])) == len(paths) - 1


def test_a_killed_run_is_resumed_and_does_nothing_twice(tmp_path, texts):
    said = []
    figures = run_demo(texts, str(tmp_path / "store"), said.append)
    assert figures["verified"] is True
    assert figures["status"] == "suspended"
    assert figures["versions"] == figures["log_lines"] == figures["kinds"]["event.published"] == len(texts)
    assert figures["kinds"]["run.finished"] == 1
    killed = figures["killed_after"] < len(texts)
    assert figures["kinds"].get("run.resumed", 0) == (1 if killed else 0)
    assert any("verify     clean" in line for line in said)
    with llmspell.open(tmp_path / "store", create=False) as store:
        session = store.sessions.open("research")
        ids = {info.id for info in session.artifacts.list().items if info.type == "user_input"}
        assert set(figures["lineage"]) == ids
        counts = [session.state.get(f"words/text-{number}.txt") for number in range(len(texts))]
        assert sum(counts) == session.state.get("words/total") == figures["words"]
        report = session.artifacts.get("report.md").text()
        assert "dance" in report
        for version, info in enumerate(session.artifacts.versions("report.md"), 1):
            assert info.version == version
            assert len(info.metadata["lineage"]["sources"]) == version


def test_a_place_that_is_not_empty_is_left_alone(tmp_path, texts):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file.txt").write_text("mine")
    with pytest.raises(llmspell.InvalidInput) as caught:
        run_demo(texts, str(tmp_path / "mine"), print)
    assert caught.value.code == "not-empty"
    assert (tmp_path / "mine" / "file.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "content,code", [(None, "file-not-found"), (b"\xff\xfe\x00binary", "not-text")], ids=["missing", "binary"]
)
def test_files_that_cannot_be_read_are_refused_before_anything_is_made(tmp_path, content, code):
    path = tmp_path / "source.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(llmspell.LlmspellError) as caught:
        run_demo([str(path)], str(tmp_path / "store"), print)
    assert caught.value.code == code
    assert not (tmp_path / "store").exists()


def test_one_short_file_is_enough_even_when_the_kill_comes_too_late(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("bees dance\n" * 50, "utf-8")
    figures = run_demo([str(path)], str(tmp_path / "store"), lambda _line: None)
    assert figures["verified"] is True
    assert figures["versions"] == 1
    assert figures["kinds"]["run.finished"] == 1


def test_more_sources_than_a_page_of_a_list_holds_are_all_read(tmp_path):
    paths = [tmp_path / f"text-{number}.txt" for number in range(130)]
    for path in paths:
        path.write_text(f"bees dance in {path.stem}\n", "utf-8")
    figures = run_demo([str(path) for path in paths], str(tmp_path / "store"), lambda _line: None)
    assert figures["versions"] == figures["log_lines"] == 130
    assert len(figures["lineage"]) == 130


def test_a_kill_that_came_too_late_is_not_told_as_a_kill(tmp_path, texts):
    said = []
    figures = run_demo(texts[:1], str(tmp_path / "store"), said.append)
    told = [line for line in said if line.startswith("run ")]
    assert len(told) == 1
    assert told[0].startswith("run        killed") is ("run.resumed" in figures["kinds"])
