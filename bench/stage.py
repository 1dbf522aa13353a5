"""Where everything is: files, ports, processors."""

import glob
import os
import shutil
import sys
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "scripts", "python"))

from failure import Failure
from ports import free_port
from workload import PAGE

@dataclass
class Stage:
    """`binaries`: nginx, debian, envoy; `modules`: wasm, base, debian; `debian`: the root of Debian's packages; `libraries`: what the dynamic linker needs for
    them. `load`: contender → modules that it loads."""
    work: str
    filters: str
    binaries: dict
    modules: dict
    debian: str | None
    ports: object = field(default_factory=lambda: iter(free_port, None))
    lua: str = os.path.join(HERE, "lua")
    lua_plugins: str = os.path.join(HERE, "..", "lua")

    def __post_init__(self):
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)
        with open(os.path.join(self.work, "page.txt"), "wb") as file:
            file.write(PAGE)
        self.upstream, self.sink = next(self.ports), next(self.ports)
        self.user = "user root;" if os.getuid() == 0 else ""
        processors = sorted(os.sched_getaffinity(0))
        if len(processors) < 2:
            raise Failure("one processor: the load generator needs one of its own")
        # Systems handle most interrupts on the first.
        self.load_cpu, self.cpu = processors[0], processors[-1]
        self.load = {"nginx": [], "module": [self.modules["wasm"]], "base": [self.modules.get("base")],
                     "debian": [], "debian-module": [self.modules.get("debian")]}
        self.environment = dict(os.environ)
        if self.debian:
            libraries = [os.path.dirname(self.only(name)) for name in ("usr/lib/*/libluajit-5.1.so.2", "lib/*/libpcre.so.3")]
            self.environment["LD_LIBRARY_PATH"] = ":".join(libraries)
            self.load["debian-lua"] = [self.only(f"usr/lib/nginx/modules/{name}_module.so")
                                       for name in ("ndk_http", "ngx_http_lua")]
            self.load["debian-proxy-wasm"] = [*self.load["debian-lua"], self.modules.get("debian")]
            self.lua_packages = f"{self.debian}/usr/share/lua/5.1"
            self.lua_libraries = os.path.dirname(self.only("usr/lib/*/lua/5.1/cjson.so"))

    def only(self, pattern):
        found = glob.glob(os.path.join(self.debian, pattern))
        if not found:
            raise Failure(f"no {pattern} below {self.debian}: rm -r it and try again")
        return found[0]

    def write(self, name, text):
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path
