"""Small protocols that adapters implement; their docstrings are the contracts."""
