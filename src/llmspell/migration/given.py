"""What a caller says that a migration is about."""

from __future__ import annotations

from llmspell.errors import InvalidInput
from llmspell.migration.plan import Known, Target
from llmspell.model.arguments import check_flags
from llmspell.model.scope import Scope
from llmspell.model.telling import told
from llmspell.schemas.catalog import Catalog
from llmspell.state.rows import end_of_prefix


def target_of(scope: Scope | str | None, prefix: str, agents: bool) -> Target:
    """The values that are meant. Raises InvalidInput (``invalid-scope``, ``invalid-prefix``)."""
    check_flags(agents=agents)
    end_of_prefix(prefix)
    if agents and scope is not None:
        raise InvalidInput("agents are chosen by prefix, not by scope", code="invalid-scope")
    named = Scope.parse(scope).name if isinstance(scope, str) else scope
    if named is not None and not isinstance(named, str | Scope):
        raise InvalidInput(f"a scope is a Scope, not {told(scope)}", code="invalid-scope")
    return Target("agents" if agents else "state", named.name if isinstance(named, Scope) else named, prefix)


def one_scope(scope: object) -> Scope | None:
    """The scope, also as people write it; None if it is none. Raises InvalidInput (``invalid-scope``)."""
    if isinstance(scope, str):
        return Scope.parse(scope)
    return scope if isinstance(scope, Scope) else None


def version_of(name: str, target: Target, known: Known) -> str:
    """The version that values have. Raises InvalidInput (``version-unknown``)."""
    version = known.bound or known.ran
    if version is None:
        raise InvalidInput(
            f"which version of {name} {target} are of is not known", code="version-unknown", hint="say from_version"
        )
    return version


def check_catalog(catalog: object) -> Catalog:
    """Raises InvalidInput (``invalid-schema``) for what is none."""
    if not isinstance(catalog, Catalog):
        raise InvalidInput(f"a catalog is a Catalog, not {told(catalog)}", code="invalid-schema")
    return catalog
