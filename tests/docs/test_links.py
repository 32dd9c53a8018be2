"""Links between the documents lead somewhere, and no document is left out of the front door."""

import re

import pytest

from tools.snippets.__main__ import ROOT, documents

pytestmark = pytest.mark.docs

FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def links(path):
    return LINK.findall(FENCED.sub("", path.read_text("utf-8")))


def anchors(path):
    """The anchors of a page's headings, as code hosts make them."""
    titles = HEADING.findall(FENCED.sub("", path.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead(path):
    found = []
    for link in links(path):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


def written():
    return [*documents(), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("document", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in written()])
def test_every_link_leads_to_a_file_and_a_heading(document):
    assert dead(document) == []


def test_a_dead_link_and_a_dead_heading_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One heading\n[a](page.md#one-heading) [b](page.md#two) [c](gone.md)\n```\n[d](never.md)\n```\n")
    assert dead(page) == ["page.md#two", "gone.md"]


def test_every_page_is_reached_from_the_readme():
    reached, fresh = set(), {ROOT / "README.md"}
    while fresh:
        page = fresh.pop()
        reached.add(page)
        names = (link.partition("#")[0] for link in links(page) if "://" not in link)
        targets = {(page.parent / name).resolve() for name in names if name.endswith(".md")}
        fresh |= {target for target in targets if target.exists()} - reached
    assert set(documents()) <= reached
