"""Relations among artifacts: what was made from what, belongs to what, needs what."""
