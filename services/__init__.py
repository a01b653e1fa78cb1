"""Nexus: a booking engine for reserved seats."""
