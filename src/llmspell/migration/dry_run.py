"""A plan tried on copies: the same transforms and checks, nothing written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llmspell.journal.asking import Asking, driven
from llmspell.migration.binding import demand_bindable, load_bound_since
from llmspell.migration.preparing import PROBLEMS_MAX, Preparation
from llmspell.migration.values import MigrationReport, Problem, Sample
from llmspell.model.values import decode_value

if TYPE_CHECKING:
    from llmspell.migration.applying import Tools
    from llmspell.migration.held import Held, Place, Values
    from llmspell.migration.plan import Plan
    from llmspell.migration.steering import Options
    from llmspell.ports.database import Reading
    from llmspell.schemas.checking import Validators

PAGE_VALUES = 256
SAMPLES_MAX = 10
SAMPLE_BYTES_MAX = 4096
"""A longer value is no sample."""


async def rehearse(
    tools: Tools, plan: Plan, values: Values, options: Options, validators: Validators
) -> MigrationReport:
    """What applying the plan now would come to. ``problems`` are the first hundred, ``skipped`` counts all."""
    await tools.read(lambda view: driven(demand_bindable(Asking(view), plan)))
    since = await tools.read(partial(load_bound_since, plan))
    preparation = Preparation(plan, values, options.functions, validators, options.validation or "strict", since)
    samples: list[Sample] = []
    problems: list[Problem] = []
    seen = changed = skipped = 0
    total = (await tools.read(values.count))[0]
    after = (0, "")
    while page := await tools.read(partial(_page, values, after)):
        for held in page:
            made = preparation.one(held, 0)
            seen += 1
            if isinstance(made, Problem):
                skipped += 1
                problems += [made][: PROBLEMS_MAX - len(problems)]
            elif made is not None:
                changed += 1
                if len(samples) < SAMPLES_MAX and len(held.raw) <= SAMPLE_BYTES_MAX:
                    before = values.shown(held, decode_value(held.raw))
                    samples.append(Sample(held.scope, held.key, before, values.shown(held, made[1])))
        after = page[-1].place
        tools.tell(seen, total)
        await tools.pause()
    return MigrationReport(
        "dry_run", plan.name, plan.from_version, plan.to_version, total=total, seen=seen, changed=changed,
        skipped=skipped, seconds=tools.seconds, problems=tuple(problems), samples=tuple(samples),
        warnings=plan.warnings,
    )  # fmt: skip


def _page(values: Values, after: Place, view: Reading) -> list[Held]:
    return values.page(view, after, PAGE_VALUES)
