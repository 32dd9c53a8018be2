"""Pure values: ids, times, scopes, entries, JSON. Nothing here reads or writes anything."""
