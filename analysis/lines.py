"""Lines over an axis of a study: one per strategy, the mean over replications with its 95 % interval
as a band, named at its right end."""

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

import style

LABEL = 18  # characters of a name

# Units in which an axis is labelled: of the study -> (factor, text).
_SCALES = {
    "s": [(1, "s"), (1e-3, "ms"), (1e-6, "µs")],
    "B/s": [(1.25e8, "Gb/s"), (1.25e5, "Mb/s"), (125, "kb/s")],
    "B": [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")],
    "J": [(1e6, "MJ"), (1e3, "kJ"), (1, "J")],
}


def scale_of(unit, largest):
    """(factor, name) in which values up to `largest` are short."""
    for factor, name in _SCALES.get(unit, []):
        if largest >= factor * 0.999:
            return factor, name
    return _SCALES[unit][-1] if unit in _SCALES else (1, "" if unit == "1" else unit)


def is_logarithmic(values):
    """Whether values are better spread on a logarithmic scale: positive, over a decade or more, and
    stretched towards the large end."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if len(values) < 2 or values.min() <= 0 or values.max() < 10 * values.min():
        return False
    return np.median(values) < 0.5 * (values.min() + values.max()) * 0.8


def draw(axes, frame, x, colours, unit, y_unit, log_y=False):
    """`frame`: rows with columns x, strategy, mean, low, high. Returns what `label` needs."""
    axes.set_xscale("log" if is_logarithmic(frame[x].unique()) else "linear")
    if log_y:
        axes.set_yscale("log")
    lines = {}
    names = [n for n in frame.strategy.unique() if frame["mean"][frame.strategy == n].notna().any()]
    for name, own in frame.groupby("strategy", observed=True, sort=False):
        own = own.sort_values(x)
        known = own["mean"].notna() & (own["mean"] > 0 if log_y else True)
        if not known.any():
            continue
        own = own[known]
        low = own["low"].fillna(own["mean"]).clip(lower=1e-12 if log_y else None)
        axes.fill_between(own[x], low, own["high"].fillna(own["mean"]), color=colours[name],
                          alpha=0.18, linewidth=0, zorder=2)
        width = 1.2 + 0.4 * (len(names) - 1 - names.index(name))  # equal lines: both are seen
        axes.plot(own[x], own["mean"], color=colours[name], linewidth=width, zorder=3,
                  marker="o" if len(own) <= 16 else "", markersize=1.6 + width)
        lines[name] = (own[x].to_numpy(), own["mean"].to_numpy())
    top = max((y.max() for _, y in lines.values()), default=1)
    if log_y and lines:
        axes.set_ylim(min(y.min() for _, y in lines.values()) / 1.7, top * 1.7)
    if not log_y:
        axes.set_ylim(bottom=0, top=top * 1.08 or 1)
    ticks(axes.xaxis, axes.get_xscale() == "log", *scale_of(unit, frame[x].max()))
    ticks(axes.yaxis, log_y, *scale_of(y_unit, top))
    axes.grid(True)
    return lines


def ticks(axis, logarithmic, factor, unit):
    """Round numbers in the unit that is shown, which need not be round in SI units."""

    def text(value, _):
        shown = value / factor
        digits = f"{shown:,.0f}" if abs(shown) >= 1000 else f"{shown:.3g}"
        return digits + (f" {unit}" if unit in ("s", "ms", "µs") and value else "")

    low, high = (limit / factor for limit in axis.get_view_interval())
    if logarithmic:
        decades = np.log10(max(high, 1e-30) / max(low, 1e-30))
        steps = (1, 2, 5) if decades < 2.5 else (1,)
        every = 1 if decades < 7 else 2
        at = [s * 10.0**k for k in range(-12, 16, every) for s in steps]
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    else:
        at = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    axis.set_major_locator(FixedLocator([a * factor for a in at if low <= a <= high]))
    axis.set_major_formatter(FuncFormatter(text))


def label(axes, lines, colours):
    """Names the lines beside their right ends, apart from each other. To be called when the figure
    has its final layout."""
    if not lines:
        return
    axes.figure.canvas.draw()
    height = 11.5 * axes.figure.dpi / 72 * 0.82  # of a line of text, pixels
    ends = {n: axes.transData.transform((x[-1], y[-1])) for n, (x, y) in lines.items()}
    order = sorted(ends, key=lambda n: ends[n][1])
    frame = axes.get_window_extent()
    places = [min(max(ends[n][1], frame.y0), frame.y1) for n in order]
    for _ in range(60):  # push apart what is too close, a little at a time
        for i in range(len(places) - 1):
            gap = height - (places[i + 1] - places[i])
            if gap > 0:
                places[i] -= gap / 2
                places[i + 1] += gap / 2
    for name, y in zip(order, places):
        point = axes.transAxes.inverted().transform((0, y))[1]
        axes.text(1.02, point, style.shorten(name, LABEL), transform=axes.transAxes, fontsize=7.5,
                  color=style.darker(colours[name]), va="center", clip_on=False)


def mark(axes, x, text, colour=style.QUIET):
    """A vertical line with a word at its top."""
    axes.axvline(x, color=colour, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    axes.annotate(text, (x, 1), xycoords=("data", "axes fraction"), xytext=(3, -2),
                  textcoords="offset points", fontsize=7, color=colour, va="top",
                  path_effects=style.halo(2))
