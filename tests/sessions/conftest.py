"""Stores of both faces, and their clock."""

import pytest

from tests.rooms.conftest import FACES


@pytest.fixture(params=sorted(FACES))
def face(request, tmp_path):
    made = FACES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(face):
    return face.open()


@pytest.fixture
def clock(face):
    return face.clock
