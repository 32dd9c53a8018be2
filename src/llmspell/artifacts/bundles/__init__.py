"""Bundles: artifacts in one file, as ZIP or JSON, that carries into another store whole or not at all."""
