"""E8b: compression of KV."""

from figures.common import *

TITLE = "Compression: bytes and latency per codec"
STATEMENTS = [
    ("stated", "Layer alignment and representation compression between heterogeneous models."),
    ("ours", "Bytes fall in proportion to the codec's size; latency stops falling when the edge's "
     "own computing is all that is left. What codecs cost in quality (E8a) is left out until it is "
     "measured. Encoding and decoding are not charged yet."),
]
NAMES = ["CE-LSLM", "CE-LSLM int8", "CE-LSLM int4"]
RUNS = [("codecs", [COLD, "--axis",
                    "platform://link[@id='wan']/@bandwidth=log:10Mbps 100000Mbps 21"], [], [])]


def draw(studies):
    study = studies["codecs"]
    figure, (left, right) = panels(2, ["Time to first token, cold", "Bytes moved (MB)"], 2.3)
    drawn, colours = line_panel(left, study, "ttft_mean", "bandwidth", NAMES, log_y=True)
    left.set_xlabel("WAN bandwidth (Gb/s)")
    lines.label(left, drawn, colours)
    kv = mean_of(study, "kv_bytes").iloc[0]
    for row, name in enumerate(NAMES):
        right.barh(row, kv[name] / 1e6, color=colours[name], height=0.6)
        right.annotate(f"{kv[name] / 1e6:.3g}", (kv[name] / 1e6, row), xytext=(4, 0), va="center",
                       textcoords="offset points", fontweight="bold")
    right.set_yticks(range(3), ["f16", "int8", "int4"])
    right.set_ylim(2.6, -0.6)
    right.set_xlim(0, kv[NAMES].max() / 1e6 * 1.2)
    figure.subplots_adjust(wspace=0.8, right=0.95)
    return figure


def check(studies):
    study = studies["codecs"]
    ttft, kv, wan = (mean_of(study, c) for c in ("ttft_mean", "kv_bytes", "wan_bytes"))
    slow, fast = ttft.iloc[0], ttft.iloc[-1]
    ratio = kv.iloc[0] / kv["CE-LSLM"].iloc[0]
    times = slow[NAMES] / slow["CE-LSLM"]
    off = float((times / ratio[NAMES] - 1).abs().max())
    spread = float(fast[NAMES].max() / fast[NAMES].min() - 1)
    carried = float((wan[NAMES] / kv[NAMES] - 1).abs().max().max())
    return [
        (carried < 0.01, f"the WAN carries what the codecs say, within {100 * carried:.2g} %"),
        (off < 0.05, "at 10 Mb/s latency is in proportion to the bytes, within "
         f"{100 * off:.1f} %, must be below 5 %"),
        (spread < 0.1, f"at 100 Gb/s codecs differ by {100 * spread:.1f} %, must be below 10 %: "
         "computing limits"),
    ]
