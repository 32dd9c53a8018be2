"""``llmspell demo``: the bundled demonstration."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from llmspell.cli import printable
from llmspell.cli.exits import FAILED, Finished
from llmspell.cli.invocation import running


def demo(*sources: Annotated[str, Parameter(help="Text files to work on; default: some that come along.")]) -> None:
    """See it work: a research script over real text is killed half way, resumed, and looked at.

    The store it makes stays, in a new temporary folder or, with --store PATH, in that empty folder.
    """
    from llmspell.demo.run import run_demo

    run = running.get()

    def say(text: str) -> None:
        if not run.out.json and not run.out.quiet:
            run.out.write(printable.block(text))
            run.out.stdout.flush()

    figures = run_demo(list(sources), run.flags.store, say)
    if run.out.json:
        run.out.one(figures, "")
    if not figures.get("verified", True):
        raise Finished(FAILED)
