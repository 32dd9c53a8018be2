"""A whole session as one file that another store takes in: its form, writing it, and appending what it holds.

Built on the rooms: entries of a session go out as the journal has them and come in through the kinds' own ``apply``.
``docs/bundle-format.md`` describes the file.
"""
