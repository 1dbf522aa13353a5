"""What was measured, as it is kept: a JSON file."""

import datetime
import json
import os

import machine
from statistic import spread

MEASURES = ("rps", "cpu_us", "p50_us", "p99_us", "busy")


def whole(every, samples, options, stage, root):
    """`cases`: each with its samples of all rounds. `plugins`, `components`, `start`, `memory` and `reload` come to it later."""
    return head(options, stage, root) | {
        "cases": {case.name: {"contender": case.contender.name, "workload": case.workload.name, "base": case.base,
                              "samples": samples[case.name]} for case in every},
    }


def head(options, stage, root):
    """When, where and how."""
    commit, changed = machine.commit(root)
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit,
        "changed": changed,
        "machine": machine.machine(),
        "versions": machine.versions(stage, root),
        "method": {"seconds": options.time, "rounds": options.rounds, "restart": options.restart,
                   "connections": options.connections},
    }


def summary(result, name):
    """Median and quartiles of each measure of a case."""
    return {measure: spread(sample[measure] for sample in result["cases"][name]["samples"]) for measure in MEASURES}


def difference(result, name, other, measure="cpu_us"):
    """Median and quartiles of what a case takes more than another in the same round."""
    return spread(one - two for one, two in pairs(result, name, other, measure))


def ratio(result, name, other, measure):
    return spread(one / two for one, two in pairs(result, name, other, measure))


def pairs(result, name, other, measure):
    samples = [result["cases"][key]["samples"] for key in (name, other)]
    return [(one[measure], two[measure]) for one, two in zip(*samples, strict=True)]


def file_name(result):
    return f"{result['date'][:10]}-{result['commit']}{'-changed' if result['changed'] else ''}.json"


def save(result, directory):
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, file_name(result))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    return path


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)
