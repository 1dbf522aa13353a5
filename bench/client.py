"""Single requests."""

import http.client
from dataclasses import dataclass

from workload import HEADERS

# Where the sink says whether all of an upload has come.
CHECK = "/check"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict
    body: bytes


def get(case):
    """None where there is no whole answer."""
    return ask(case.port, CHECK if case.workload.upload else case.workload.path, data=case.workload.upload)


def ask(port, path, headers=HEADERS, timeout=120, data=b"", method=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        return exchange(connection, path, headers, data, method)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def exchange(connection, path, headers=HEADERS, data=b"", method=None):
    method = method or ("POST" if data else "GET")
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if method == "POST":
        connection.putheader("Content-Length", str(len(data)))
    connection.endheaders(data or None)
    response = connection.getresponse()
    body = response.read()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def warm(case, count):
    """So many requests on one connection. Their answers were checked before."""
    connection = http.client.HTTPConnection("127.0.0.1", case.port, timeout=120)
    for _ in range(count):
        exchange(connection, case.workload.path, data=case.workload.upload)
    connection.close()
