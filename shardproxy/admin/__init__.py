"""The operator's view of a running proxy over HTTP: metrics, probes for an orchestrator, a status page.

``status`` has the values that are shown, taken in one moment on the event loop; ``metrics`` and ``pages``
turn them into text; ``http`` is the server. See README.md beside this file for the metrics.
"""
