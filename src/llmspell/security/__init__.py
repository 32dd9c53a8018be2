"""Keys, sealing, and finding secrets. Nothing here opens a store."""
