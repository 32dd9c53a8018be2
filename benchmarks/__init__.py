"""Benchmarks: what each operation costs, beside the bare engine and the peers, in one run on one machine.

``python -m benchmarks`` prints one block per row: our figure with its durability, then one line per thing it is held
against (bare apsw writing the same rows, LangGraph's SqliteSaver, ADK's sqlite and file services, the OpenAI Agents
SQLiteSession), the ratio, the budget of ``DESIGN.md`` and whether it is kept or MISSED.

Why ratios: an fsync here takes 25 microseconds in one minute and 300 in the next. So the sides of a row take turns in
short blocks, each round gives one ratio, and the row reports the median of the rounds' ratios. A figure alone means
nothing on another machine; the ratio does.
"""
