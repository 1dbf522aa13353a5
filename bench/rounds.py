"""The measurement: all cases in turn, round after round."""

import time

import check
import client
import wrk

WARM = 300


class Rounds:
    """Every second round goes backwards, so that a case and its base are as far apart in one direction as in the other. Processes are started anew
    every `restart` rounds: where memory happens to lie makes a difference of its own."""

    def __init__(self, proxies, stage, options):
        self.proxies, self.stage, self.options = proxies, stage, options
        self.owner = {case.name: proxy for proxy in proxies for case in proxy.cases}

    def run(self, cases):
        """Samples of each case, by name."""
        samples = {case.name: [] for case in cases}
        begin = time.monotonic()
        for number in range(self.options.rounds):
            if number % self.options.restart == 0:
                self.start(cases)
            for case in reversed(cases) if number % 2 else cases:
                samples[case.name].append(self.sample(case))
            print(f"bench: round {number + 1} of {self.options.rounds}, {time.monotonic() - begin:.0f} s", flush=True)
        self.stop()
        return samples

    def sample(self, case):
        proxy = self.owner[case.name]
        before, begin = proxy.cpu(), time.monotonic()
        load = wrk.run(case.url, self.stage.load_cpu, self.options.time, self.options.connections, case.workload.upload)
        used, passed = proxy.cpu() - before, time.monotonic() - begin
        return {"rps": round(load.requests / load.seconds, 1), "cpu_us": round(used / 1e3 / load.requests, 4),
                "p50_us": load.p50, "p99_us": load.p99, "busy": round(used / 1e9 / passed, 3)}

    def start(self, cases):
        self.stop()
        for proxy in self.proxies:
            proxy.start()
        for proxy in self.proxies:
            proxy.wait()
        check.answers(self.proxies)
        for case in cases:
            client.warm(case, WARM)

    def stop(self):
        for proxy in self.proxies:
            proxy.stop()
