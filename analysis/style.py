"""The look of every figure: sizes, type, and which colour means what.

Colours are those of Okabe and Ito, which people with any colour vision tell apart, without the
yellow, which a white page swallows. They are used by meaning: blue is the cloud, orange the edge,
green is KV on the move and what is built on it, pink are prompts and tokens on the air.
"""

import matplotlib

matplotlib.use("Agg")  # files only, no window

import matplotlib.colors  # noqa: E402
import matplotlib.patches  # noqa: E402
import matplotlib.patheffects  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402

from celslm_results import ResultsError  # noqa: E402

INK = "#22252b"  # text and what matters
QUIET = "#6b717c"  # axes, units, remarks
FAINT = "#dfe2e7"  # grid
PAPER = "#ffffff"

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
RED, SKY, BLACK, GREY = "#D55E00", "#56B4E9", "#000000", "#8b8f97"

WIDTH = 7.2  # inch: two columns of a page; 900 pixels at 125 dpi
DPI = 200

# Parts of the time to first token, in the order in which they happen: column, label, colour.
PARTS = [
    ("t_up", "prompt up", "#E9C3D8"),
    ("t_wait", "queue", "#C9CDD4"),
    ("t_cloud", "cloud computes", BLUE),
    ("t_comm", "KV moves", GREEN),
    ("t_edge", "edge computes", ORANGE),
    ("t_down", "token down", PINK),
]

# What engines, routes and cells do: kind, label, colour. Engines in slate, the darker the more
# prefill; whatever has to do with KV that streams in is green.
KINDS = [
    ("prefill", "prefill", "#2F3B52"),
    ("mixed", "prefill + decode", "#76829A"),
    ("decode", "decode", "#C3CAD6"),
    ("stream", "prefill as KV arrives", "#00664A"),
    ("kv", "KV", "#3DBB95"),
    ("prompt", "prompts", PINK),
    ("tokens", "tokens", "#EBCBDD"),
]

_BY_NAME = {"cloud": BLUE, "edge": ORANGE, "ce-lslm": GREEN}
_OTHERS = [RED, PINK, SKY, BLACK, GREY, BLUE, ORANGE, GREEN]


def strategy_colours(strategies):
    """One colour per strategy: the same for the same name in every figure where that can be."""
    colours = {}
    for name in strategies:
        wanted = next((c for start, c in _BY_NAME.items() if name.lower().startswith(start)), None)
        if wanted and wanted not in colours.values():
            colours[name] = wanted
    spare = [c for c in _OTHERS if c not in colours.values()]
    for name in strategies:
        if name not in colours:
            colours[name] = spare.pop(0) if spare else GREY
    return colours


def use():
    """Makes the style the default of what is drawn from here on."""
    plt.rcParams.update(
        {
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 8,
            "axes.titlesize": 9,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.titlepad": 8,
            "axes.labelsize": 8,
            "axes.labelcolor": QUIET,
            "axes.edgecolor": QUIET,
            "axes.linewidth": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "grid.color": FAINT,
            "grid.linewidth": 0.6,
            "xtick.color": QUIET,
            "ytick.color": QUIET,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "xtick.major.size": 3,
            "xtick.major.width": 0.6,
            "xtick.minor.size": 1.5,
            "xtick.minor.width": 0.4,
            "ytick.major.size": 0,
            "text.color": INK,
            "lines.linewidth": 1.6,
            "lines.solid_capstyle": "round",
            "hatch.linewidth": 0.7,
            "figure.dpi": DPI,
            "savefig.dpi": DPI,
            "pdf.fonttype": 42,
            "svg.fonttype": "none",
            "svg.hashsalt": "celslm",
        }
    )


def halo(width=2.5):
    """Text on top of lines stays legible."""
    return [matplotlib.patheffects.withStroke(linewidth=width, foreground=PAPER)]


def darker(colour):
    """A little darker, so that thin letters are as visible as a line."""
    return tuple(0.82 * c for c in matplotlib.colors.to_rgb(colour))


def key(figure, entries, left, top):
    """What colours mean, in one line: `entries` are Patch arguments with a label. In figure
    coordinates, from `left` on, below `top`."""
    handles = [matplotlib.patches.Patch(**entry) for entry in entries]
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(left, top),
                  ncols=max(1, len(handles)), frameon=False, handlelength=1, handleheight=0.9,
                  handletextpad=0.5, columnspacing=1.3, borderpad=0, borderaxespad=0, fontsize=7.5)


def shorten(text, length):
    """A name that is too long loses its middle."""
    if len(text) <= length:
        return text
    keep = length - 1
    return text[: (keep + 1) // 2] + "…" + text[len(text) - keep // 2 :]


def seconds(value):
    """1.42 s, 142 ms, 3.1 ms: a time as people write it, with three digits at most."""
    for factor, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        scaled = value / factor
        if abs(scaled) >= 0.9995 or unit == "µs":
            digits = 0 if abs(scaled) >= 99.95 or scaled == 0 else 1 if abs(scaled) >= 9.995 else 2
            return f"{scaled:.{digits}f} {unit}"
    return ""


def axis_in_seconds(axis, largest):
    """Ticks of a linear time axis, all in the unit of the largest."""
    factor, unit = next(((f, u) for f, u in ((1, "s"), (1e-3, "ms")) if largest >= f), (1e-6, "µs"))
    axis.set_major_formatter(lambda x, _: f"{x / factor:.4g} {unit}" if x else "0")


def save(figure, path):
    """Writes the figure; the same figure gives the same bytes."""
    kind = path.rsplit(".", 1)[-1].lower()
    metadata = {
        "pdf": {"CreationDate": None},
        "svg": {"Date": None},
        "png": {"Software": None},
    }
    try:
        figure.savefig(path, facecolor=PAPER, metadata=metadata.get(kind))
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        plt.close(figure)
