class Failure(Exception):
    """What makes a benchmark impossible, or its result worth nothing."""
