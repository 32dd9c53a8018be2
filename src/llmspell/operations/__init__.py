"""The one table of operations: what scripts can ask for, with names, typed parameters, effects and handlers.

Bindings, annotations and the reference page are generated from it; nothing about an operation is said elsewhere.
"""
