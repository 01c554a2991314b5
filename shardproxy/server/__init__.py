"""The sidecar as a process: everything put together, signals, reload and drain."""
