import pytest
from packaging.requirements import Requirement

from tools.lock import LOCK, unsatisfied, wanted

LOCKED = '# a comment\nbackports-zstd==1.8.0; python_version < "3.14"\npytest==9.2.0\nuuid-utils==1.2.0\n'


def test_the_lock_satisfies_what_the_project_asks_for():
    assert unsatisfied(wanted(), LOCK.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("line", ["pytest>=9", "uuid_utils>=1.2,<2", "backports.zstd>=1.0; python_version < '3.14'"])
def test_a_pin_within_the_bounds_satisfies_whatever_the_spelling_of_the_name(line):
    assert unsatisfied([Requirement(line)], LOCKED) == []


@pytest.mark.parametrize("line", ["pytest>=10", "uuid-utils<1.2", "ruff>=0.17"])
def test_a_pin_out_of_bounds_or_missing_is_named(line):
    assert unsatisfied([Requirement(line)], LOCKED) == [str(Requirement(line))]
