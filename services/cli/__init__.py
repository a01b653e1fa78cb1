"""The `nexus` command: runs the processes, sets a machine up, and calls the gateway."""
