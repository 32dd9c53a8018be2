"""Runs: the record of what scripts did, so that a run can go on where it was interrupted and be repeated exactly."""
