"""The artifacts room: named, versioned, deduplicated content of sessions."""
