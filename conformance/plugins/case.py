"""What a case is: a plugin, calls of it, and how it is loaded; and what came of a call.

In inputs and configurations, `{up}` stands for the port of an HTTP server that answers with the request line and the body (as
`upstream.py` of conformance/ has it), `{dead}` for one that nobody listens on.
"""

import contextlib
import hashlib
import json
from dataclasses import dataclass, field

EXTISM, WAPC = "extism", "wapc"


@dataclass
class Call:
    """`function`: the export, or waPC's operation."""
    function: str
    input: bytes = b""


@dataclass
class Case:
    """`calls`: made one after the other, of one instance. `manifest`: members of Extism's manifest besides `wasm` and `config`;
    `wasm`: members of its entry for the module. `functions`: whether the host defines those of extism_user. `level`: of the host's log.
    `http_headers`: whether plugins see the headers of answers.
    `upstream`: the script of the server `{up}`. `host_calls`: whether waPC's host answers calls, with "binding/namespace/operation:message"."""
    name: str
    plugin: str
    calls: list
    kind: str = EXTISM
    config: dict = field(default_factory=dict)
    manifest: dict = field(default_factory=dict)
    wasm: dict = field(default_factory=dict)
    wasi: bool = False
    functions: bool = False
    level: str | None = None
    http_headers: bool = False
    upstream: object = None
    host_calls: bool = True

    def sent_headers(self):
        """The names of the headers that the calls' inputs ask for."""
        names = set()
        for one in self.calls:
            with contextlib.suppress(ValueError):
                asked = json.loads(one.input)
                if isinstance(asked, dict):
                    names.update(asked.get("headers", {}))
        return names


@dataclass
class Seen:
    """What came of a call. `failed`: Extism's error or code that is not 0, waPC's error, HTTP's status 500. `code` is None where a runner
    cannot see it; likewise `output`. `error`: the text, "" if there is none, None where a runner cannot see it."""
    failed: bool
    output: bytes | None = b""
    code: int | None = None
    error: str | None = None

    def plain(self):
        """As a value of JSON; bytes that are not UTF-8 are escaped."""
        output = None if self.output is None else short(self.output)
        return {"failed": self.failed, "code": self.code, "output": output, "error": self.error and short(self.error.encode())}


def short(data):
    """As text; of much of it the beginning, the length and a hash."""
    text = data.decode("utf-8", "backslashreplace")
    return text if len(text) <= 400 else f"{text[:40]}… ({len(data)} bytes, {hashlib.sha256(data).hexdigest()[:16]})"


def extism(name, plugin, *calls, **more):
    """`calls`: the function's name, or (name, input)."""
    return Case(name, plugin, [call(one) for one in calls], **more)


def wapc(name, plugin, *calls, **more):
    return Case(name, plugin, [call(one) for one in calls], kind=WAPC, **more)


def call(one):
    if isinstance(one, str):
        return Call(one)
    function, data = one
    return Call(function, data.encode() if isinstance(data, str) else data)
