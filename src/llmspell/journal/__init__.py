"""The journal: ordered, immutable, hash-chained entries, and the projections derived from them.

``journal.Journal`` appends inside units of work; ``reading`` gives entries back, each with its hash checked;
``verify`` walks everything; ``kinds`` is the registry of what an entry may be and how it changes the projections.
"""
