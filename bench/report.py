"""A result as tables in Markdown."""

import component
import plugin
import result as results
from case import CONTENDERS
from statistic import spread
from target import COMPONENT_TARGETS, PLUGIN_TARGETS, TARGETS
from workload import WORKLOADS


def table(head, rows):
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value):
    """Three significant digits, or all before the point."""
    return f"{value:,.{2 if abs(value) < 10 else 1 if abs(value) < 100 else 0}f}".replace("-", "−")


def with_spread(found):
    return f"{number(found['median'])} ({number(found['q1'])} … {number(found['q3'])})"


def cases(result):
    head = ["case", "requests/s", "CPU µs per request", "extra CPU µs", "p50 µs", "p99 µs", "busy"]
    rows, titles, last = [], {one.name: one.title for one in CONTENDERS}, None
    for name, case in result["cases"].items():
        workload = WORKLOADS[case["workload"]]
        if workload.name != last:
            rows.append([f"**{workload.name}** {workload.title}" if workload.filters else f"**{workload.title}**", *[""] * 6])
            last = workload.name
        found = results.summary(result, name)
        extra = with_spread(results.difference(result, name, case["base"])) if case["base"] in result["cases"] else ""
        rows.append([titles.get(case["contender"], case["contender"]), with_spread(found["rps"]),
                     with_spread(found["cpu_us"]), extra, number(found["p50_us"]["median"]),
                     number(found["p99_us"]["median"]), f"{100 * found['busy']['median']:.0f} %"])
    return table(head, rows)


def plugins(result):
    return beside(result.get("plugins", {}), plugin.WORKS, plugin.WAYS, [name for name, way in plugin.WAYS.items() if not way.how])


def components(result):
    return beside(result.get("components", {}), component.WORKS, component.WAYS, [name for name, way in component.WAYS.items() if way.serve is None])


def beside(found, works, ways, nginx):
    """Ways beside each other, work by work. `nginx`: the names of those whose guests' memories are told apart."""
    head = ["case", "requests/s", "CPU µs per request", "p50 µs", "p99 µs", "processors", "private MiB under load", "of it guests' memories"]
    rows = []
    for work in works:
        names = [name for name in work.ways if f"{name}/{work.name}" in found]
        rows += [[f"**{work.name}** {work.title}, {work.connections} connections", *[""] * 7]] if names else []
        for name in names:
            samples = found[f"{name}/{work.name}"]
            of = lambda measure: spread(sample[measure] for sample in samples)
            mib = [number(of(measure)["median"] / 1024) if measure in samples[0] else "" for measure in ("private_kib", "guests_kib")]
            rows.append([ways[name].title, with_spread(of("rps")), with_spread(of("cpu_us")), number(of("p50_us")["median"]),
                         number(of("p99_us")["median"]), f"{of('busy')['median']:.2f}", mib[0], mib[1] if name in nginx else ""])
    return table(head, rows) if rows else ""


def plugin_targets(result):
    return table(["target", "", "measured", "reached"], reached(result, PLUGIN_TARGETS))


def component_targets(result):
    return table(["target", "", "measured", "reached"], reached(result, COMPONENT_TARGETS))


# Of its processor; bare nginx with small answers keeps it busy where nothing else runs.
QUIET = 0.9


def disturbed(result):
    """What to say where others took processor time from the contenders or from wrk; None where none did."""
    busy = [sample["busy"] for name, case in result["cases"].items() if name in ("nginx/hello", "debian/hello") for sample in case["samples"]]
    noisy = sum(share < QUIET for share in busy)
    return f"this machine was not quiet: in {noisy} of {len(busy)} samples, bare nginx had less than {QUIET:.0%} of its processor" if noisy else None


def comparison(result):
    """Two revisions of the module, round by round."""
    head = ["case", "BASE, CPU µs", "its extra", "now, CPU µs", "its extra", "difference, µs", "ratio", "requests/s, ratio"]
    rows = []
    for name, case in result["cases"].items():
        if case["contender"] == "module":
            base = f"base/{case['workload']}"
            both = [number(found["median"]) for one in (base, name)
                    for found in (results.summary(result, one)["cpu_us"], results.difference(result, one, case["base"]))]
            rows.append([case["workload"], *both, with_spread(results.difference(result, name, base)),
                         *(f"{results.ratio(result, name, base, measure)['median']:.3f}" for measure in ("cpu_us", "rps"))])
    return table(head, rows)


def targets(result):
    return table(["target", "", "measured", "reached"], reached(result, TARGETS))


def reached(result, every):
    rows = []
    for target in every:
        value = target.value(result)
        sign = "≥" if target.least else "≤"
        rows.append([target.name, f"{sign} {target.bound:g} {target.unit}".rstrip(),
                     "not measured" if value is None else f"{number(value)} {target.unit}".rstrip(),
                     "" if value is None else "yes" if target.reached(value) else "**no**"])
    return rows


START = {"bare": "nginx without the module", "none": "with the module, without a guest",
         "warm": "with the guest, in `wasm_cache`", "cold": "with the guest, compiled"}


def start(result):
    found = result["start"]
    names = ("test_ms", "test_cpu_ms", "start_ms", "worker_cpu_ms")
    rows = [[title, *(with_spread(found[kind][name]) for name in names)] for kind, title in START.items()]
    size = found["guest_bytes"] / (1 << 20)
    return f"The guest is `bench_page_go`, {size:.1f} MiB.\n\n" + table(
        ["", "`nginx -t`, ms", "its CPU, ms", "start to first answer, ms", "the worker's CPU until then, ms"], rows)


def memory(result):
    rows = []
    for row in result["memory"]:
        base, = (one for one in result["memory"] if one["workers"] == row["workers"] and one["configurations"] is None)
        title = {None: "bare nginx", 0: "with the module, without a guest"}.get(
            row["configurations"], f"configurations: {row['configurations']}{'' if row['cache'] else ', compiled at the start'}")
        sizes = [f"{row[name] / 1024:.1f}" for name in ("rss", "pss", "private")]
        rows.append([title, str(row["workers"]), *sizes, number((row["private"] - base["private"]) / 1024)])
    reload = ", ".join(f"{count} {name}" for name, count in result["reload"].items())
    return table(["", "workers", "RSS, MiB", "PSS, MiB", "private, MiB", "more than bare, MiB"], rows) + (
        f"\nModules compiled by a reload with unchanged modules: {reload}.\n")


def machine(result):
    about, method = result["machine"], result["method"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    warning = disturbed(result)
    return (f"{result['date']}, commit {result['commit']}{' with changes' if result['changed'] else ''}. {about['cpu']}, "
            f"{about['processors']} processors, {about['memory_mib']} MiB, {about['distribution']}, {about['kernel']}. "
            f"{method['rounds']} rounds of {method['seconds']} s for each case, {method['connections']} connections.\n\n{versions}.\n" + (f"\n**Disturbed**: {warning}.\n" if warning else ""))
