"""The plot of a result, for docs/performance.md."""

import matplotlib

matplotlib.use("svg")
# Text stays text, and the same result gives the same file.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9})

import matplotlib.pyplot as plot  # noqa: E402 (after its settings)

import result as results  # noqa: E402

SHOWN = (
    ("module", "this module", "#2a6fbb"),
    ("debian-module", "this module, Debian's nginx", "#8db9e3"),
    ("debian-lua", "Lua, Debian's nginx", "#c9822b"),
    ("envoy-wasm", "Envoy, V8", "#7a4fa3"),
)
# Their bars would hide all others; the table has them.
LEFT_OUT = ("W3-rewrite", "W8")


def draw(result, path):
    """Extra CPU per request of each workload over the same proxy without a filter."""
    workloads = list(dict.fromkeys(case["workload"] for case in result["cases"].values() if case["base"]))
    workloads = [name for name in workloads if name not in ("hello", "page", "upload", *LEFT_OUT)]
    figure, axes = plot.subplots(figsize=(9, 4.2))
    height = 0.8 / len(SHOWN)
    for place, (contender, label, colour) in enumerate(SHOWN):
        for row, workload in enumerate(workloads):
            name = f"{contender}/{workload}"
            if name not in result["cases"]:
                continue
            found = results.difference(result, name, result["cases"][name]["base"])
            error = [[found["median"] - found["q1"]], [found["q3"] - found["median"]]]
            at = row + (place - (len(SHOWN) - 1) / 2) * height
            axes.barh(at, found["median"], height * 0.9, color=colour, xerr=error, error_kw={"elinewidth": 0.8})
            axes.annotate(f"{found['median']:.1f}", (max(found["q3"], 0), at), xytext=(3, 0), textcoords="offset points",
                          va="center", fontsize=6.5)
    axes.set_yticks(range(len(workloads)), workloads)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_xlabel("µs of CPU per request more than without a filter (median, quartiles)")
    axes.spines[["top", "right"]].set_visible(False)
    handles = [plot.Rectangle((0, 0), 1, 1, color=colour) for _, _, colour in SHOWN]
    axes.legend(handles, [label for _, label, _ in SHOWN], frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
