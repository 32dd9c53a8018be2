"""Captures: outputs of tools, agents and users that are offered, and become artifacts where a rule says so."""
