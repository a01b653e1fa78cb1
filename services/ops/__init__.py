"""What operators ask of a running system: audit, what is stuck and why, the timeline of an order, numbers."""
