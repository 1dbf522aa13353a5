"""Words of the guest hostcalls that many cases use."""

from case import Filter

PAUSE = ["action", "pause"]
LOCAL = ["local_response", 418, [["x-local", "1"]], "local"]


def hostcalls(trace=True, vm=None, vm_config=None, **callbacks):
    """A filter that runs operations in callbacks: see filters/hostcalls/README.md."""
    return Filter("hostcalls", {"trace": trace, **callbacks}, vm=vm, vm_config=vm_config)


def http_call(label="a", upstream="{side}", path="/call", method="GET", headers=(), body="", trailers=(), ms=60000):
    pseudo = [[":method", method], [":path", path], [":authority", "side.example"]]
    return ["http_call", label, upstream, pseudo + list(headers), body, list(trailers), ms]


def pause_for_call(phase, stream, *then, condition=None, **more):
    """Pauses in `phase`, calls out, and with the answer does `then` and continues."""
    ops = [http_call(), PAUSE]
    if condition:
        ops = [PAUSE, [condition, [http_call()]]]
    return hostcalls(**{phase: ops, "http_call_response": [*then, ["continue", stream]], **more})


def get(*paths):
    return [["get_property", path] for path in paths]


def show(text, value):
    return ["log", "info", {"join": [text, " ", value]}]
