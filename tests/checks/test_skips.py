import pytest

from tools.checks import skips

FILE = "tests/journal/test_append.py"
BARE = [
    "import pytest\npytest.skip()",
    "import pytest\npytest.skip('')",
    "import pytest\npytest.skip('later')",
    "import pytest\n@pytest.mark.skip\ndef test_x(): ...",
    "import pytest\n@pytest.mark.skip()\ndef test_x(): ...",
    "import pytest as p\n@p.mark.skipif(True)\ndef test_x(): ...",
    "from pytest import mark\n@mark.xfail\ndef test_x(): ...",
    "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_x(): ...",
    "import pytest\nstrace = pytest.importorskip('strace')",
    "import pytest\npytestmark = [pytest.mark.skip(reason='no')]",
]
REASONED = [
    "import pytest\npytest.skip('needs two cores')",
    "import pytest\npytest.skip(reason=why)",
    "import pytest\n@pytest.mark.skipif(True, reason='strace is missing here')\ndef test_x(): ...",
    "import pytest\npytest.importorskip('mypy', reason='checked by make check')",
]
SLEEPS = ["import time\ntime.sleep(1)", "from asyncio import sleep\nasync def f():\n    await sleep(0.1)"]


@pytest.mark.parametrize("code", BARE)
def test_a_skip_without_reason_is_found(planted, code):
    planted.plant(FILE, code)
    assert [rule for _, _, rule in planted.findings(skips)] == ["skip-reason"]


@pytest.mark.parametrize("code", REASONED)
def test_a_skip_with_its_reason_passes(planted, code):
    planted.plant(FILE, code)
    assert planted.findings(skips) == []


@pytest.mark.parametrize("code", SLEEPS)
def test_a_sleep_in_a_test_is_found(planted, code):
    planted.plant(FILE, code)
    assert [rule for _, _, rule in planted.findings(skips)] == ["sleep"]


def test_a_sleep_that_is_itself_under_test_says_so(planted):
    planted.plant(FILE, "import time\ntime.sleep(60)  # sleep: the hook under test hangs")
    assert planted.findings(skips) == []
    planted.plant(FILE, "import time\ntime.sleep(60)  # sleep: why")
    assert [rule for _, _, rule in planted.findings(skips)] == ["sleep"]


def test_a_file_about_what_sleeps_says_so_once(planted):
    planted.plant(FILE, "import time\n# sleeps: the hooks under test hang\ntime.sleep(60)\ntime.sleep(9)")
    assert planted.findings(skips) == []


def test_handing_on_the_turn_is_no_sleep(planted):
    planted.plant(FILE, "import asyncio\nasync def f():\n    await asyncio.sleep(0)")
    assert planted.findings(skips) == []
