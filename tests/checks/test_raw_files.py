import pytest

from tools.checks import raw_files

FILE = "src/llmspell/backup/copy.py"
TOUCHES = [
    'open("main.db", "rb")',
    'open(folder / "main.db")',
    '(folder / "main.db-wal").read_bytes()',
    'folder.joinpath("main.db").open("rb")',
    'open(str(path) + "-wal")',
    'open(f"{path}-shm")',
    "import os\nos.open(db_path, os.O_RDONLY)",
    "import os\nos.truncate(self.wal_file, 0)",
    'import shutil as s\ns.copy("content.sqlite3", target)',
    'from shutil import copyfile\ncopyfile(src="main.db", dst=target)',
    'NAME = "main.db"\n\ndef read(folder):\n    path = folder / NAME\n    return path.read_bytes()',
    'from pathlib import Path\nwhere = Path("main.db")\nwhere.touch()',
    'self.file = folder / "main.db"\nself.file.replace(target)',
    "with open(database_path) as file:\n    pass",
]
LEAVES_ALONE = [
    'apsw.Connection("main.db")',
    'apsw.Connection(str(folder / "main.db"))',
    'open("notes.txt")',
    '(folder / "turnstile.lock").touch()',
    'name.replace("main.db", "other.db")',
    'connection = connect(folder / "main.db")\nconnection.blob_open("main", "blob", "inline", 1, False).read()',
    'reader = connect("main.db")\nreader.open(1)',
]


@pytest.mark.parametrize("code", TOUCHES)
def test_handling_a_database_file_as_a_file_is_found(planted, code):
    planted.plant(FILE, code)
    assert [(name, rule) for name, _, rule in planted.findings(raw_files)] == [(FILE, raw_files.RULE)]


@pytest.mark.parametrize("code", LEAVES_ALONE)
def test_sqlite_and_other_files_are_left_alone(planted, code):
    planted.plant(FILE, code)
    assert planted.findings(raw_files) == []
