"""What is tried with a public filter."""

import json
from dataclasses import dataclass, field, replace


class Failure(Exception):
    """What makes a trial impossible."""


@dataclass(eq=False)
class Filter:
    """`source`: where it comes from, as docs say it; `origin`: for fetch.py. `parameters`: of wasm_module, that all of its cases need."""
    name: str
    version: str
    language: str
    source: str
    origin: tuple
    parameters: str = ""
    cases: list = field(default_factory=list)

    def link(self, config="", name=None):
        return Link(self, config, name)

    def case(self, name, config, *steps, **more):
        self.cases.append(Case(name, [self.link(config)], steps, **more))

    def again(self, name, suffix, **more):
        """A case once more, with other directives."""
        case = next(case for case in self.cases if case.name == name)
        self.cases.append(replace(case, name=f"{name}, {suffix}", **more))

    def chained(self, name, chain, *steps, **more):
        self.cases.append(Case(name, chain, steps, **more))


@dataclass
class Link:
    """A filter in a chain, with its configuration: text, or what becomes JSON. `{UP}` and `{REDIS}` in it stand for ports. `name`: of
    the filter's module; the filter's own by default."""
    filter: Filter
    config: object = ""
    name: str | None = None

    def text(self):
        return self.config if isinstance(self.config, str) else json.dumps(self.config)


@dataclass
class Case:
    """`location`: directives of the location; `http`: of the http block, as upstreams for calls. `redis`: it needs a server.
    `needs`: directives that a user needs, too, for the table."""
    name: str
    chain: list
    steps: tuple
    location: str = "proxy_pass http://up;"
    http: str = ""
    redis: bool = False
    needs: str = ""


@dataclass
class Step:
    """A request, and what is to come of it. `headers` and `sees`: name → regex, or None where it must not be there; `sees` and
    `seen_body` are about what reached the upstream, `reaches` whether anything did. `body` and `seen_body`: regexes. `log`: a regex for nginx's log.
    `calls`: regexes, each for a line `METHOD path headers body` of what reached the server of calls. `metrics`: a regex for the page of metrics."""
    path: str = "/"
    method: str = "GET"
    send: dict = field(default_factory=dict)
    data: object = None
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: str | None = None
    reaches: bool | None = None
    sees: dict = field(default_factory=dict)
    seen_path: str | None = None
    seen_body: str | None = None
    log: str | None = None
    calls: tuple = ()
    metrics: str | None = None
    times: int = 1
