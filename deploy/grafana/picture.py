"""Draws the first rows of the dashboard from the answers of a Prometheus: picture.py DASHBOARD PROMETHEUS GROUP SECONDS OUT

Called by deploy/grafana/test.sh with UPDATE_PICTURES=1. It is no screenshot: the panels, their places and their expressions are those of
the dashboard, the drawing is matplotlib's.
"""

import io
import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.patches as patches
import matplotlib.pyplot as plt
from PIL import Image

ROWS = 3
STEP_SECONDS = 2
UNIT_WIDTH, UNIT_HEIGHT = 0.56, 0.27
HEAD, FOOT = 1.2, 2.0
GREEN, ORANGE, RED, INK, QUIET = "#2c8a4b", "#d9730d", "#c4314b", "#24292f", "#6e7781"
COLORS = ["#3274d9", "#e0752d", "#56a64b", "#8f3bb8", "#d6a300", "#37a2b5", "#c4162a", "#7b6d8d", "#2f5d50"]


def ask(address, path, **form):
    url = f"http://{address}/api/v1/{path}?{urllib.parse.urlencode(form)}"
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)["data"]["result"]


def fill(expression, group):
    values = {"$job": "audit-relay", "$group": group, "$instance": ".+", "$__rate_interval": "8s"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def legend(target, labels):
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"])


def lines(panel, address, group, begin, end):
    """Each series as its name, times in seconds and values; NaN where there is no sample."""
    for target in panel["targets"]:
        expression = fill(target["expr"], group)
        for series in ask(address, "query_range", query=expression, start=begin, end=end, step=STEP_SECONDS):
            samples = {round(at - begin): float(value) for at, value in series["values"]}
            times = range(0, round(end - begin) + 1, STEP_SECONDS)
            yield legend(target, series["metric"]), list(times), [samples.get(at, math.nan) for at in times]


def draw_number(axes, panel, address, group, end):
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    found = []
    for target in panel["targets"]:
        for series in ask(address, "query", query=fill(target["expr"], group), time=end):
            found.append((legend(target, series["metric"]), float(series["value"][1])))
    for index, (name, value) in enumerate(found):
        color = GREEN
        for step in steps[1:]:
            color = ORANGE if value >= step["value"] else color
        place = (index + 0.5) / len(found)
        with_name = panel["options"]["textMode"] == "value_and_name"
        axes.text(place, 0.5 if with_name else 0.35, f"{value:g}", ha="center", va="center", fontsize=19, color=color, weight="bold")
        if with_name:
            axes.text(place, 0.06, name, ha="center", va="center", fontsize=7.5, color=QUIET)
    axes.axis("off")


def draw_states(axes, panel, drawn):
    mapping = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    drawn = sorted(drawn, reverse=True)
    for row, (_, times, values) in enumerate(drawn):
        for at, value in zip(times, values):
            if not math.isnan(value):
                color = GREEN if mapping[f"{value:g}"]["color"] == "green" else RED
                axes.broken_barh([(at, STEP_SECONDS)], (row - 0.35, 0.7), color=color, linewidth=0)
    axes.set_yticks(range(len(drawn)), [name for name, _, _ in drawn])
    axes.set_ylim(-0.8, len(drawn) - 0.2)


def draw_graph(axes, panel, drawn):
    custom = panel["fieldConfig"]["defaults"]["custom"]
    drawn = sorted(drawn) if len(panel["targets"]) == 1 else drawn
    if "stacking" in custom:
        values = [[0 if math.isnan(value) else value for value in values] for _, _, values in drawn]
        axes.stackplot(drawn[0][1], values, labels=[name for name, _, _ in drawn], colors=COLORS, alpha=0.75, linewidth=0)
    else:
        for index, (name, times, values) in enumerate(drawn):
            axes.plot(times, values, label=name, color=COLORS[index % len(COLORS)], linewidth=1.3)
    axes.set_ylim(bottom=0)
    top = axes.get_ylim()[1]
    axes.set_ylim(0, max(top, 0.1) * 1.05)
    axes.grid(axis="y", color="#e4e8ec", linewidth=0.6)
    handles, names = axes.get_legend_handles_labels()
    shown = [index for index, (_, _, values) in enumerate(drawn) if any(value > 0 for value in values)]
    columns = 6 if all(len(names[index]) < 4 for index in shown) else 3
    axes.legend([handles[index] for index in shown], [names[index] for index in shown], loc="upper left", bbox_to_anchor=(-0.04, -0.13),
                ncol=columns, fontsize=7, frameon=False, handlelength=1, columnspacing=1, handletextpad=0.4, borderpad=0.2, labelspacing=0.3)


def draw_panel(axes, panel, address, group, begin, end):
    if panel["type"] == "stat":
        draw_number(axes, panel, address, group, end)
        return
    drawn = list(lines(panel, address, group, begin, end))
    (draw_states if panel["type"] == "state-timeline" else draw_graph)(axes, panel, drawn)
    if panel["fieldConfig"]["defaults"]["unit"] == "s":
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} s")
    axes.set_xlim(0, end - begin)
    minutes = range(0, round(end - begin) + 1, 60)
    axes.set_xticks(minutes, [f"{at // 60} min" for at in minutes])
    axes.tick_params(labelsize=7, colors=QUIET, length=2)
    for side in ["top", "right"]:
        axes.spines[side].set_visible(False)
    for side in ["left", "bottom"]:
        axes.spines[side].set_color("#c9d1d9")


def main(dashboard, address, group, seconds, out):
    with open(dashboard, encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    rows = [panel for panel in panels if panel["type"] == "row"]
    below = rows[ROWS]["gridPos"]["y"]
    panels = [panel for panel in panels if panel["gridPos"]["y"] < below]
    end = time.time() - 2 * STEP_SECONDS
    begin = end - float(seconds)
    width, height = 24 * UNIT_WIDTH, (below + HEAD + FOOT) * UNIT_HEIGHT
    figure = plt.figure(figsize=(width, height), facecolor="#f1f3f5")

    def inch(x, y):
        return x * UNIT_WIDTH / width, 1 - (y + HEAD) * UNIT_HEIGHT / height

    def box(x, y, columns, rows):
        """The place of a box whose left upper corner is here."""
        return *inch(x, y + rows), columns * UNIT_WIDTH / width, rows * UNIT_HEIGHT / height

    for panel in panels:
        x, y, columns, lines_high = (panel["gridPos"][key] for key in "xywh")
        if panel["type"] == "row":
            figure.text(*inch(x + 0.2, y + 0.6), panel["title"], fontsize=11.5, color=INK, weight="bold", va="center")
            continue
        left, bottom, *size = box(x + 0.1, y + 0.15, columns - 0.2, lines_high - 0.3)
        figure.add_artist(patches.Rectangle((left, bottom), *size, facecolor="white", edgecolor="#d8dee4", linewidth=0.8, zorder=-1))
        figure.text(*inch(x + 0.3, y + 0.8), panel["title"], fontsize=9, color=INK, weight="bold", va="center")
        is_number = panel["type"] == "stat"
        before = {"stat": 0.3, "state-timeline": 2.0}.get(panel["type"], 1.0)
        above, below_it = (1.2, 0.4) if is_number else (1.5, 2.4)
        place = box(x + before, y + above, columns - before - 0.4, lines_high - above - below_it)
        draw_panel(figure.add_axes(place), panel, address, group, begin, end)
    figure.text(0.012, 0.009, "Drawn from Prometheus' data by the dashboard's own expressions, not a screenshot of Grafana. Two relays on a real Kafka "
                "broker; for half a minute one hung, and the other\ntook over after its session had timed out. Legends leave out what is zero. Two "
                "more rows are about tables, and about transactions and the process.", fontsize=8, color=QUIET, va="bottom")
    figure.text(*inch(0.2, -0.55), "audit-relay", fontsize=14, color=INK, weight="bold", va="center")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=92, facecolor=figure.get_facecolor())
    Image.open(drawn).convert("RGB").quantize(255).save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
