"""Migrations of stored values from one version of their schema to another.

What must stay true: a value is changed by what is registered and by nothing else; what a transform does not name stays
as it is; every change is an ordinary entry, so history and events show it and it can be taken back to the byte; what is
committed is where a migration stands, so that a killed one goes on from there; and no message shows what a value holds.
"""
