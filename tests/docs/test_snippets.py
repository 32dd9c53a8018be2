"""Every block of the documents runs as shown."""

import pytest

from tools.snippets.__main__ import ROOT, documents, problem

pytestmark = [pytest.mark.docs, pytest.mark.timeout(330)]


@pytest.mark.parametrize("document", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in documents()])
def test_every_block_of_the_document_runs_as_shown(document):
    assert problem(document) is None
