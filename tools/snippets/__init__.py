"""Runs what the documents show: a snippet that does not run is a promise nobody keeps.

Every ``python``, ``lua`` and ``console`` block of README.md and docs/ is run, in the order of its document, in an empty
folder; what one block leaves behind (names, files, the store) the next one of the same document finds.

In a document:

* ``<!-- no-run: reason -->`` right before a block leaves it out; the reason is demanded, and printed by every run.
* An ``output`` block right after a ``python`` or ``lua`` block is what that block must print.
* In a ``console`` block a line ``$ command`` is run; the lines after it, if any, are what it must print. ``# exit N``
  at the end of the line is the exit status it must have (0 otherwise).
* In printed text ``...`` stands for anything on its line, and alone on a line for any lines.
* ``await`` may stand at the top level of a ``python`` block.
"""
