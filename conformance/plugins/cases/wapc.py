"""waPC's operations."""

from case import wapc

CASES = [
    case
    for language, plugin in (("rust", "wapc_test"), ("as", "wapc_test_as"))
    for case in (
        wapc(f"wapc/{language}/echo", plugin, ("echo", "hello"), ("echo", ""), ("echo", bytes(range(256))), ("echo", b"x" * 100000)),
        wapc(f"wapc/{language}/fail", plugin, ("fail", "the text"), ("fail", ""), ("echo", "goes on")),
        wapc(f"wapc/{language}/count", plugin, "count", "count", ("fail", "x"), "count"),
        wapc(f"wapc/{language}/unknown", plugin, ("no_such_operation", "x"), ("", "x")),
        wapc(f"wapc/{language}/host_call", plugin, ("host_call", "b/n/op/message"), ("host_call", "b/n/op/"), ("host_call", "///")),
        wapc(f"wapc/{language}/host_call/refused", plugin, ("host_call", "b/n/op/message"), ("echo", "goes on"), host_calls=False),
        wapc(f"wapc/{language}/log", plugin, ("log", "a line")),
        wapc(f"wapc/{language}/panic", plugin, "count", "panic", "count"),
    )
]
