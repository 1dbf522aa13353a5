"""What error.log and the metrics say."""

import re

LINE = re.compile(r"^\S+ \S+ \[(\w+)\] (\d+)#\d+: (?:\*\d+ )?(.*)$")
ENDED = re.compile(r"worker process (\d+) exited on signal 9$")
# What the next process says about one that was killed in the midst of a change.
DIED = "[wasm] a process died while it changed the shared memory zone"
ENDS = re.compile(r"\[wasm\] count: lifetime ends: created=(\d+) done=(\d+) logged=(\d+) deleted=(\d+)")
# A guest that panics says so by itself.
GUEST = re.compile(r"^\[wasm\] \w+: thread ")
BEGINS = "[wasm] count: lifetime begins"
# At the most so many lines are shown.
SHOWN = 10


class Log:
    """`lives`: the workers, without the `readers` of the configuration. `created`: contexts in those that were not killed. `torn`: how often
    shared memory was made anew behind a kill. `reasons`: what should not be in the log."""

    def __init__(self, path, killed, readers):
        self.created, self.torn, self.reasons = 0, 0, []
        self.lives, ends, others = set(), {}, []
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                found = LINE.match(line)
                level, pid, text = (found[1], int(found[2]), found[3]) if found else ("none", 0, line)
                if text.startswith(BEGINS):
                    self.lives.add(pid)
                elif ended := ENDS.match(text):
                    ends[pid] = [int(count) for count in ended.groups()]
                elif level in ("alert", "emerg", "crit") or "panicked" in text and not GUEST.search(text):
                    gone = ENDED.match(text)
                    self.torn += text.startswith(DIED)
                    if not (killed and text.startswith(DIED) or gone and int(gone[1]) in killed):
                        others.append(line.rstrip()[:300])
        self.reasons += others[:SHOWN]
        if len(others) > SHOWN:
            self.reasons.append(f"... {len(others)} such lines in all")
        self.lives -= readers
        for pid, counts in ends.items():
            self.created += counts[0]
            if len(set(counts)) != 1:
                self.reasons.append("worker {}: {} contexts created, {} done, {} logged, {} deleted".format(pid, *counts))
        self.reasons += [f"worker {pid} did not end its root contexts" for pid in sorted(self.lives - set(ends) - killed)]


def metrics(page, module, names):
    """The values of these metrics of the module."""
    values = {}
    for name in names:
        found = re.search(rf'^{name}\{{module="{module}"\}} (\d+)', page, re.MULTILINE)
        values[name] = int(found[1]) if found else None
    return values
