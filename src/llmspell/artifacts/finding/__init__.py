"""Finding artifacts among all sessions: conditions, full text, names alike; and the lagging index for it."""
