"""SQLite through apsw: the engine of a store in a folder, and of one in memory."""
