"""Load programs; each starts its own servers on free ports and prints what it measured."""
