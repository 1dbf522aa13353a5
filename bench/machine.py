"""What was measured on, and what."""

import os
import platform
import re
import subprocess


def machine():
    """No name of host or user."""
    with open("/proc/cpuinfo") as file:
        model = re.search(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
    with open("/proc/meminfo") as file:
        memory = int(re.search(r"^MemTotal:\s+(\d+)", file.read(), re.MULTILINE)[1])
    return {"cpu": model[1] if model else platform.machine(), "processors": os.cpu_count(),
            "kernel": f"{platform.system()} {platform.release()}", "memory_mib": memory // 1024, "distribution": distribution()}


def distribution():
    with open("/etc/os-release") as file:
        return re.search(r'^PRETTY_NAME="(.*)"$', file.read(), re.MULTILINE)[1]


def first(command, pattern, environment=None):
    """What `pattern` finds in what the command says, on whichever output."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    found = re.search(pattern, done.stdout)
    return found[1] if found else None


def versions(stage, root):
    with open(os.path.join(root, "Cargo.lock")) as file:
        locked = dict(re.findall(r'name = "([\w-]+)"\nversion = "([^"]+)"', file.read()))
    found = {"nginx": first([stage.binaries["nginx"], "-v"], r"nginx/(\S+)"), "wasmtime": locked["wasmtime"],
             "wrk": first(["wrk", "-v"], r"wrk (?:debian/)?(\S+)"), "rustc": first(["rustc", "--version"], r"rustc (\S+)"),
             "python": platform.python_version()}
    if "debian" in stage.binaries:
        found["Debian's nginx"] = first([stage.binaries["debian"], "-v"], r"nginx/(\S+)", stage.environment)
    if "envoy" in stage.binaries:
        found["Envoy"] = first([stage.binaries["envoy"], "--version"], r"/(\d+\.\d+\.\d+)/")
    if stage.debian:
        with open(os.path.join(os.path.dirname(stage.debian), ".unpacked")) as file:
            found |= {f"Debian's {name}": version for name, version in map(str.split, file) if not name.startswith("nginx")}
    return found


def commit(root):
    """The revision, short, and whether the sources differ from it."""
    def git(*arguments):
        return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True).stdout.strip()
    changed = git("status", "--porcelain", "--", "src", "crates", "filters", "bench", "Cargo.lock", "Cargo.toml")
    return git("rev-parse", "--short=10", "HEAD"), bool(changed)
