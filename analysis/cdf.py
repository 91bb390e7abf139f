"""Latency distributions: one curve per strategy, named where there is room beside it.

The curves are shares of all requests that arrived, so a strategy that turns requests away or loses
them ends below 100 %.
"""

from collections import namedtuple

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

import style

LABEL = 20  # characters of a name
POINTS = 600  # a curve is drawn through so many quantiles


Curve = namedtuple("Curve", "x y median")  # latency in s, share of all requests


def draw(axes, latencies, colours, title):
    """`latencies`: strategy -> (finite latencies in s, number of requests that arrived)."""
    curves = {}
    for name, (values, arrived) in latencies.items():
        if not len(values):
            continue
        share = np.linspace(0, 1, min(POINTS, len(values)))
        half = 0.5 * arrived / len(values)  # the median of all, whether served or not
        curves[name] = Curve(np.quantile(values, share), share * len(values) / arrived,
                             float(np.quantile(values, half)) if half <= 1 else None)
        axes.plot(curves[name].x, curves[name].y, color=colours[name], zorder=3)
    axes.set_title(title)
    _dress(axes, curves)
    return curves


def _dress(axes, curves):
    axes.set_xscale("log")
    axes.set_ylim(0, 1.03)
    if curves:
        low = min(np.interp(0.002, c.y, c.x) for c in curves.values())
        high = max(c.x[-1] for c in curves.values())
        axes.set_xlim(low * 0.6, high * 1.15)
        decades = np.log10(high / low)
        if decades < 2.2:  # name a few values between the powers of ten
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if decades > 1.2 else (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _tick(x)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.grid(True)
    axes.axhline(0.95, color=style.QUIET, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    for share, name in ((0.5, "p50"), (0.95, "p95")):
        axes.text(1.01, share, name, transform=axes.get_yaxis_transform(), color=style.QUIET,
                  fontsize=7, va="center")


def _tick(x):
    """10 ms, 1 s, 100 s: round values in the unit that keeps them short."""
    for factor, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if x >= factor * 0.999:
            return f"{x / factor:.3g} {unit}"
    return f"{x:.1g} s"


def mark_medians(axes, curves, colours):
    for name, curve in curves.items():
        if curve.median is not None:
            axes.plot([curve.median], [0.5], "o", color=colours[name], markersize=4,
                      markeredgecolor=style.PAPER, markeredgewidth=0.8, zorder=4)


def label(axes, curves, colours):
    """Names each curve with its median. To be called when the figure has its final layout."""
    axes.figure.canvas.draw()
    renderer = axes.figure.canvas.get_renderer()
    frame = axes.get_window_extent(renderer)
    lines = {name: _pixels(axes, curve.x, curve.y) for name, curve in curves.items()}
    taken = []
    for name in sorted(curves, key=lambda n: curves[n].x[len(curves[n].x) // 2]):
        at_half = curves[name].median
        text = style.shorten(name, LABEL)
        text = text if at_half is None else f"{text}\n{style.seconds(at_half)}"
        note = axes.text(0, 0, text, color=style.darker(colours[name]), fontsize=7.5, linespacing=1.1,
                         path_effects=style.halo(), zorder=5)
        box = note.get_window_extent(renderer)
        place, right = _best_place(lines, name, frame, box.width, box.height, taken)
        taken.append(place)
        note.set_horizontalalignment("left" if right else "right")
        corner = (place[0] + (0 if right else place[2]), place[1])
        note.set_position(axes.transData.inverted().transform(corner))


def listing(figure, panels, colours, left, top, right, line):
    """For many curves: their names with the medians of every panel, in figure coordinates."""
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    stops = [right - i * (right - left) * 0.27 for i in range(len(panels))][::-1]
    for x, heading in zip(stops, panels):
        figure.text(x, top, heading, ha="right", va="center", fontsize=7, color=style.QUIET)
    figure.text(left, top, "median", va="center", fontsize=7, color=style.QUIET)
    for row, name in enumerate(names, 1):
        y = top - row * line
        colour = style.darker(colours[name])
        figure.text(left, y, style.shorten(name, LABEL), va="center", fontsize=7.5, color=colour, fontweight="bold")
        for x, curves in zip(stops, panels.values()):
            value = curves[name].median if name in curves else None
            figure.text(x, y, "–" if value is None else style.seconds(value), ha="right",
                        va="center", fontsize=7.5, color=colour)


def _pixels(axes, x, y):
    """The curve as dense points on the canvas."""
    points = axes.transData.transform(np.column_stack([x, y]))
    steps = np.r_[0, np.cumsum(np.hypot(*np.diff(points, axis=0).T))]
    dense = np.linspace(0, steps[-1], max(2, int(steps[-1] / 2)))
    return np.column_stack([np.interp(dense, steps, points[:, i]) for i in (0, 1)])


def _best_place(lines, name, frame, width, height, taken):
    """The box (x, y, w, h) beside the curve that covers least of other curves and labels."""
    own = lines[name]
    best, best_right, best_cost = None, True, np.inf
    gap = 0.25 * height
    for share in np.linspace(0.08, 0.97, 60):
        target = frame.y0 + share * frame.height
        i = int(np.argmin(np.abs(own[:, 1] - target)))
        px, py = own[i]
        for right in (True, False):
            for lift in (-0.9, -0.5, -0.1):
                x = px + gap if right else px - gap - width
                y = py + lift * height
                cost = _cost(lines, name, frame, (x, y, width, height), taken)
                cost += 12 * abs(share - 0.5) + (0 if right else 1)
                if cost < best_cost:
                    best, best_right, best_cost = (x, y, width, height), right, cost
    return best, best_right


def _cost(lines, name, frame, box, taken):
    x, y, w, h = box
    pad = 0.25 * h
    outside = max(0, frame.x0 + 2 - x) + max(0, x + w - frame.x1 - 20)
    outside += max(0, frame.y0 + pad - y) + max(0, y + h + pad - frame.y1)
    cost = 20 * outside
    for other, points in lines.items():
        inside = ((points[:, 0] > x - 2 * pad) & (points[:, 0] < x + w + 2 * pad)
                  & (points[:, 1] > y - pad) & (points[:, 1] < y + h + pad))
        cost += np.count_nonzero(inside) * (3 if other == name else 5)
    for ox, oy, ow, oh in taken:
        across = min(x + w, ox + ow) - max(x, ox) + 4
        down = min(y + h, oy + oh) - max(y, oy) + 2
        if across > 0 and down > 0:
            cost += 50 + across * down
    return cost

