"""Which outputs become artifacts: the rules of a session and of the store, as every process finds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llmspell.artifacts.captures import units
from llmspell.artifacts.captures.offer import Offer, check_offer
from llmspell.artifacts.captures.rule import CODE, CaptureRule
from llmspell.errors import InvalidInput, NotFound
from llmspell.model.arguments import check_flags
from llmspell.model.ids import id_text
from llmspell.model.telling import told
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.lookup import Lookup
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.ports.database import Reading

_SQL = queries("llmspell.artifacts.captures")
_KNOWN_MAX = 64


class Ruling:
    """The part of ``AsyncCaptures`` about rules. Those of a session are asked before those of the store."""

    _journal: Journal
    _acting: Acting
    _lookup: Lookup
    _known: dict[int, list[CaptureRule]]

    async def rules(self, *, inherited: bool = False) -> list[CaptureRule]:
        """The rules of this session, or of the store, in the order in which they are asked. ``inherited``: with those
        of the store, which are asked after the session's.
        """
        check_flags(inherited=inherited)
        own = self._lookup.own_session
        found = await self._in_force(own)
        return [rule for rule, owner in found if inherited or owner == (id_text(own) if own else "")]

    async def set_rules(self, rules: Iterable[CaptureRule | Mapping[str, Any]]) -> list[CaptureRule]:
        """Set all rules of this session, or through ``store.captures`` of the store; an empty list takes them away.

        They hold in every process from its next offer on, and survive restarts. Each is a ``CaptureRule`` or the dict
        of one. Writes ``artifact.capture_rules_set`` unless they are the same. Raises InvalidInput
        (``invalid-capture-rule``), LimitExceeded (``too-many-rules``), NotFound.
        """
        if isinstance(rules, str | Mapping) or not isinstance(rules, Iterable):
            raise InvalidInput(f"rules are a list of them, not {told(rules)}", code=CODE)
        wanted = [CaptureRule.of(one) for one in rules]
        names = Counter(one.name for one in wanted)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise InvalidInput(f"two rules are named {twice[0]!r}", code=CODE, field="name")
        return await self._change(lambda _: wanted)

    async def set_rule(self, rule: CaptureRule | Mapping[str, Any], *, before: str | None = None) -> list[CaptureRule]:
        """Add a rule after the others, or in the place of the one that has its name; ``before`` names the rule that
        comes next instead. Returns all. Raises what ``set_rules`` raises, NotFound (``rule-not-found``).
        """
        new = CaptureRule.of(rule)

        def change(rules: list[CaptureRule]) -> list[CaptureRule]:
            names = [one.name for one in rules]
            if before is None:
                if new.name in names:
                    return [new if one.name == new.name else one for one in rules]
                return [*rules, new]
            if before not in names or before == new.name:
                raise _no_rule(before)
            others = [one for one in rules if one.name != new.name]
            at = [one.name for one in others].index(before)
            return [*others[:at], new, *others[at:]]

        return await self._change(change)

    async def remove_rule(self, name: str) -> list[CaptureRule]:
        """Take one rule away; returns those left. Raises NotFound (``rule-not-found``)."""

        def change(rules: list[CaptureRule]) -> list[CaptureRule]:
            left = [one for one in rules if one.name != name]
            if len(left) == len(rules):
                raise _no_rule(name)
            return left

        return await self._change(change)

    async def _change(self, change: units.Change) -> list[CaptureRule]:
        own = self._lookup.own_session
        return await self._journal.write(
            lambda writer: units.change_rules(writer, own, change), context=self._acting.context()
        )

    async def rule_for(
        self, *, source: str, name: str | None = None, mime_type: str = "application/octet-stream", error: bool = False
    ) -> CaptureRule | None:
        """The rule that would decide on such an offer now; None when none is about it."""
        offer = check_offer(b"", source=source, name=name, mime_type=mime_type, metadata=None, tags=(), error=error)
        context = self._acting.context()
        session = context.session if self._acting.session is None else self._acting.session.id
        found = await self._deciding(session, offer)
        return None if found is None else found[0]

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _deciding(self, session: bytes | None, offer: Offer) -> tuple[CaptureRule, str] | None:
        for rule, owner in await self._in_force(session):
            if rule.is_about(offer.source, offer.name, offer.mime_type, error=offer.error):
                return rule, owner
        return None

    async def _in_force(self, session: bytes | None) -> list[tuple[CaptureRule, str]]:
        """Rules with their owner, as entries name it: the session's, then the store's. One statement when known."""

        def query(view: Reading) -> list[tuple[bytes, int, list[CaptureRule] | str]]:
            found: list[tuple[bytes, int, list[CaptureRule] | str]] = []
            for owner, seq in sorted(view.all(_SQL["owners"], (session,)), reverse=True):
                known = self._known.get(seq)
                row = view.one(_SQL["rules"], (owner,)) if known is None else None
                found.append((owner, seq, (known or []) if row is None else row[1]))
            return found

        rules: list[tuple[CaptureRule, str]] = []
        for owner, seq, given in await self._journal.database.read(query):
            known = units.rules_in(given) if isinstance(given, str) else given
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[seq] = known
            rules += [(rule, id_text(owner) if owner else "") for rule in known]
        return rules


def _no_rule(name: object) -> NotFound:
    return NotFound(f"there is no capture rule {told(name)}", code="rule-not-found")
