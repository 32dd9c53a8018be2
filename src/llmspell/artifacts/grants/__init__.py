"""Grants: what a session may do with artifacts of another session, until when, and the record of it."""
