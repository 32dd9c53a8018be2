"""Users: a schema in three versions, what leads from one to the next, and stored values of it."""

from llmspell.migration.changing import Convert, Default
from llmspell.migration.migration import Migration
from llmspell.migration.moving import Rename
from llmspell.schemas.catalog import Catalog
from llmspell.schemas.schema import Schema

V1 = Schema("user", "1.0.0", {"name": "string", "age": "string"})
V2 = Schema("user", "2.0.0", {"full_name": "string", "age": "integer"})
V3 = Schema("user", "3.0.0", {"full_name": "string", "age": "integer", "tags": {"type": "list", "required": True}})
CATALOG = Catalog().adding_all([V1, V2, V3])
TO_2 = Migration("user", "1.0.0", "2.0.0", [Rename("name", "full_name"), Convert("age", "integer")])
TO_3 = Migration("user", "2.0.0", "3.0.0", [Default("tags", [])])


def old(number, **more):
    return {"name": f"name {number}", "age": str(number % 90), **more}


def new(number, **more):
    return {"full_name": f"name {number}", "age": number % 90, **more}


def fill(store, count, *, start=0):
    """So many users of version 1, each with a member that no schema names."""
    store.state.set_many({f"user:{n:04}": old(n, kept={"n": n}) for n in range(start, start + count)})


def planned(store, to="2.0.0", **options):
    """A plan for the users, its migrations registered."""
    for one in (TO_2, TO_3):
        store.migrations.register(one)
    given = {"from_version": "1.0.0", "scope": "global", "prefix": "user:", "catalog": CATALOG} | options
    return store.migrations.plan("user", to, **given)
