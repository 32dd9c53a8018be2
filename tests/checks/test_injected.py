import pytest

from tools.checks import injected

FILE = "src/llmspell/sessions/service.py"
LEAKS = [
    "import time\ntime.time()",
    "import time as t\nt.time_ns()",
    "from time import time\ntime()",
    "from time import time as now\ndef f(clock=now): ...",
    "from datetime import datetime, UTC\ndatetime.now(UTC)",
    "import datetime\ndatetime.datetime.utcnow()",
    "import datetime as d\nd.date.today()",
    "import random\nrandom.random()",
    "from random import choice\nchoice([1])",
    "import random\nrandom.SystemRandom()",
    "import uuid\nuuid.uuid4()",
    "from uuid import uuid4\nuuid4()",
    "import uuid_utils\nuuid_utils.uuid7()",
    "import os\nos.urandom(16)",
    "from secrets import token_bytes\ntoken_bytes(16)",
    "def lazily():\n    import time\n    return time.time()",
]
INJECTED = [
    "import time\ntime.monotonic()",
    "import time\ntime.perf_counter_ns()",
    "import uuid\nuuid.UUID(bytes=b)",
    "import random\nrandom.Random(7)",
    "self.clock.time()",
    "from datetime import datetime, UTC\ndatetime.fromtimestamp(at, UTC)",
]


@pytest.mark.parametrize("code", LEAKS)
def test_asking_the_machine_for_time_ids_or_randomness_is_found(planted, code):
    planted.plant(FILE, code)
    assert {(name, rule) for name, _, rule in planted.findings(injected)} == {(FILE, injected.RULE)}


@pytest.mark.parametrize("code", LEAKS)
@pytest.mark.parametrize("home", sorted(injected.HOMES))
def test_the_homes_of_clock_and_ids_may_ask(planted, home, code):
    planted.plant(home, code)
    assert planted.findings(injected) == []


@pytest.mark.parametrize("code", INJECTED)
def test_monotonic_clocks_values_and_seeded_generators_are_free(planted, code):
    planted.plant(FILE, code)
    assert planted.findings(injected) == []
