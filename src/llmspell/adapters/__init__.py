"""Engines behind the ports. The only place, beside the script engines, that imports a driver."""
