"""Arguments of the wrong type are refused by a code of ours, never by the engine and never in silence."""

import pytest

import llmspell

WRONG = {
    "keys-limit-text": (lambda store: store.state.keys(limit="5"), "invalid-limit"),
    "keys-limit-float": (lambda store: store.state.keys(limit=1.5), "invalid-limit"),
    "keys-limit-bool": (lambda store: store.state.keys(limit=True), "invalid-limit"),
    "history-before": (lambda store: store.state.history("key", before="x"), "invalid-seq"),
    "history-limit": (lambda store: store.state.history("key", limit="3"), "invalid-limit"),
    "set-many-list": (lambda store: store.state.set_many([1]), "invalid-value"),
    "get-many-text": (lambda store: store.state.get_many("abc"), "invalid-key"),
    "timeline-kinds": (lambda store: store.timeline(kinds="state.set"), "invalid-kinds"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_type_is_refused_by_name(name):
    call, code = WRONG[name]
    with llmspell.open(":memory:") as store:
        store.state.set("key", 1)
        with pytest.raises(llmspell.InvalidInput) as caught:
            call(store)
        assert caught.value.code == code
