"""Schemas of state values: what a value holds, from version to version, and whether two versions fit each other.

Pure: no store, no I/O. What must stay true: a verdict that two versions fit is never wrong for a value that the older
one accepts; a verdict that they do not comes with a value that shows it wherever one can be made; and no message about
a value shows any of its content, because the value may be a secret.
"""
