"""The state room: JSON values by key in the scope of an owner, with versions."""
