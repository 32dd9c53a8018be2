"""The sessions room: named stretches of work with a lifecycle."""
