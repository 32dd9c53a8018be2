"""Where something is done: what of it a step of a run takes over."""

from dataclasses import fields, replace

from llmspell.model.context import ROOT, Context


def test_a_context_within_a_step_differs_by_the_step_alone():
    every = Context(*(field.name for field in fields(Context)))
    assert every.within(None) == replace(every, step=None)
    assert every.within("other") == replace(every, step="other")
    assert ROOT.within(None) == ROOT
