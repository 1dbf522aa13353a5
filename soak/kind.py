"""What a kind of requests is made of."""

from dataclasses import dataclass
from typing import Callable

from message import Request


@dataclass
class Environment:
    """`filters`: the directory of the guests. `faults`, `grpc`: ports of t/servers."""
    filters: str
    faults: int
    grpc: int
    # What the filter "version" puts into x-version.
    version: int = 0
    # The guest of "version", if it is not that of the others.
    guest: str = ""


@dataclass
class Kind:
    name: str
    weight: int
    # Pairs of module and configuration.
    filters: list
    content: str
    # The request, and what says why an answer is wrong.
    make: Callable
    # A broken answer is right, too.
    breaks: bool = False


def pattern(size):
    return (b"abcdefgh" * (size // 8 + 1))[:size]


def expect(status=200, body=None, **headers):
    """What an answer must be; names of headers with _ for -."""
    def wrong(answer):
        if answer.status != status:
            return f"status {answer.status}, not {status}"
        if body is not None and answer.body != body:
            return f"a body of {len(answer.body)} bytes, {answer.body[:40]!r}, not {len(body)} bytes, {body[:40]!r}"
        for name, value in headers.items():
            got = answer.headers.get(name.replace("_", "-"))
            if got != [value]:
                return f"{name}: {got}, not {value}"
        return None
    return wrong


def either(*choices):
    def wrong(answer):
        reasons = [choice(answer) for choice in choices]
        return None if None in reasons else "; ".join(reasons)
    return wrong


def get(path, wrong):
    return lambda rng: (Request(path), wrong)


def leaving(path, upto, **more):
    return lambda rng: (Request(path, leave=rng.random() * upto, **more), expect())
