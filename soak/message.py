"""What clients ask and get, whatever the protocol."""

from dataclasses import dataclass, field

IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")


@dataclass
class Request:
    path: str
    method: str = "GET"
    headers: tuple = ()
    body: bytes = b""
    # So many bytes of the body are promised and not sent.
    withheld: int = 0
    # The client leaves so many seconds after it has sent this.
    leave: float | None = None


@dataclass
class Answer:
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""


class Lost(Exception):
    """No whole answer. `heard`: something of it came. `refused`: the server has said that it did
    not look at the request."""

    def __init__(self, reason, heard=False, refused=False):
        super().__init__(reason + (" behind a part of the answer" if heard else ""))
        self.heard = heard
        self.refused = refused


class Left(Exception):
    """The client has left, as the request wanted it."""
