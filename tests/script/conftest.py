"""Every engine test runs on both Lua versions."""

import functools

import pytest

from tests.script.host import Host


@pytest.fixture(params=["5.5", "5.4"])
def version(request):
    return request.param


@pytest.fixture
def make_host(version):
    """Builds a host of this version: make_host({name: function}, …)."""
    return functools.partial(Host, version)


@pytest.fixture
def host(make_host):
    """A host with `echo` (its argument), `twice` (times two) and `fail`."""

    def fail(*_):
        raise Refused("not-found", "no such thing", details={"key": "k"})

    from tests.script.host import Refused

    return make_host({"echo": lambda value=None: value, "twice": lambda n: n * 2, "fail": fail})
