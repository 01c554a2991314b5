"""What goes wrong in a load test."""


class BenchError(Exception):
    """A program is missing, did not start, or failed; or a run had errors, so that its figures mean
    nothing.
    """
