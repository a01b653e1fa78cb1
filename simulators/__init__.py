"""Real processes that stand in for the world outside; services never import them."""
