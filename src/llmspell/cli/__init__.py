"""The command line: every operation as a command, with tables for people and JSON for programs.

``main`` is the entry point, ``dispatch`` the tree of commands, ``invocation`` what a command works with, ``output`` and
``exits`` how it ends. Each group of commands is a module of its own that is loaded when it is used.
"""
