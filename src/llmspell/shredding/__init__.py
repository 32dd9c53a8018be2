"""Shredding a session: its payloads, rows, content and key are destroyed, and the journal says so and still verifies.

It stands above the rooms because it reaches into all of them; their own units never destroy anything.
"""
