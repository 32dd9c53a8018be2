"""The events room: publishing, and delivery of everything that happens, strictly in the order of the journal."""
