"""Hooks of the synchronous store: a custom point is triggered without await."""

import llmspell


def test_a_custom_point_of_the_sync_store_gives_its_outcome():
    with llmspell.open(":memory:") as store:

        @store.hooks.on("pipeline.validate")
        def check(context):
            return llmspell.Modified({"value": context.data["value"] * 2})

        outcome = store.hooks.trigger("pipeline.validate", {"value": 21})
        assert outcome.data == {"value": 42}
        assert [info.name.rpartition(".")[2] for info in store.hooks.list()] == ["check"]
