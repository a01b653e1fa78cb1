"""Registers the endpoints with Restate and takes old versions away once they are drained."""
