"""Small checks over the source tree, for rules that no ruff rule and no import contract can say.

Each module here holds one rule: ``check(tree)`` yields a ``Finding`` for every place that breaks it. ``python -m
tools.checks`` runs them all and exits 1 when there is a finding. Every rule has a self-test in ``tests/checks`` that
plants a violation and sees it found: a check that cannot fail guards nothing.
"""
