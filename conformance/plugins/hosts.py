"""The real hosts: one function for each, from a case to what was seen.

A runner is a function (case, stage) → Run. That for nginx is in nginx_host.py; it leaves as None what it cannot see.
"""

import base64
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field

from case import Seen

HERE = os.path.dirname(os.path.abspath(__file__))
# Seconds for a case: a busy machine may take long for what takes no time.
PATIENCE = 300


class HostFailure(Exception):
    """A host is missing, or has ended by itself."""


@dataclass
class Run:
    """`load`: why the plugin could not be loaded; `calls`: a Seen for each; `log`: lines; `upstream`: what the server `{up}` was asked."""
    load: str | None
    calls: list
    log: list
    upstream: list = field(default_factory=list)


@dataclass
class Stage:
    """`filters`: the directory of the plugins; `node_modules`: where @wapc/host is; `nginx`, `module`: the files of these; `cache`: the directory
    of `wasm_cache`; `ports`: names in braces → ports."""
    filters: str
    node_modules: str
    nginx: str
    module: str
    cache: str
    ports: dict

    def filled(self, value):
        """A value of JSON, or bytes, with ports for their names."""
        if isinstance(value, dict):
            return {self.filled(name): self.filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        for name, port in self.ports.items():
            if isinstance(value, str):
                value = value.replace("{%s}" % name, str(port))
            if isinstance(value, bytes):
                value = value.replace(b"{%s}" % name.encode(), str(port).encode())
        return value

    def plain(self, text):
        """A text without what is another one in each run: ports, the hashes of plugins, backtraces."""
        for name, port in self.ports.items():
            text = re.sub(rf"\b{port}\b", "{%s}" % name, text)
        text = re.sub(r"(Hash mismatch, found )\w+", r"\1{hash}", text)
        text = re.sub(r"error while executing at wasm backtrace:.*?\n\n", "", text, flags=re.DOTALL)
        return re.sub(r"\n *\d+: +0x[^\n]*", "", text)


def described(case, stage):
    return {"file": os.path.join(stage.filters, f"{case.plugin}.wasm"), "config": stage.filled(case.config), "manifest": stage.filled(case.manifest),
            "wasm": case.wasm, "wasi": case.wasi, "functions": case.functions, "http_headers": case.http_headers, "level": case.level, "host_calls": case.host_calls,
            "calls": [[call.function, base64.b64encode(stage.filled(call.input)).decode()] for call in case.calls]}


def child(command, case, stage, **environment):
    try:
        done = subprocess.run(command, input=json.dumps(described(case, stage)), capture_output=True, text=True, timeout=PATIENCE,
                              env={**os.environ, **environment}, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFailure(f"{case.name}: {error}") from error
    if done.returncode:
        raise HostFailure(f"{case.name}: the host ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def extism(case, stage):
    seen = child([sys.executable, "-B", os.path.join(HERE, "extism_host.py")], case, stage)
    calls = [Seen(code != 0 or error is not None, base64.b64decode(output), code, stage.plain(error or "")) for code, output, error in seen["calls"]]
    # Of its own, the host logs what it does, with times and the plugin's id.
    log = [found[0] for line in seen["log"] if (found := re.search(r"(?:TRACE|DEBUG|INFO|WARN|ERROR) extism::pdk: .*", line))]
    return Run(seen["load"] and stage.plain(seen["load"]), calls, [re.sub(r" *plugin=\S+", "", line).strip() for line in log])


def wapc(case, stage):
    seen = child(["node", os.path.join(HERE, "wapc", "host.js")], case, stage, NODE_PATH=stage.node_modules)
    calls = [Seen(error is not None, base64.b64decode(output), None, stage.plain(error or "")) for output, error in seen["calls"]]
    return Run(seen["load"] and stage.plain(seen["load"]), calls, seen["log"])


RUNNERS = {"extism": extism, "wapc": wapc}
