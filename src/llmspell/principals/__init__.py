"""Handles for principals: rooms that see and do only what their principal may.

They are put together from the rooms that the owner has, over a journal that begins each read and each unit with the
check. A room that is not isolated yet is not there.
"""
