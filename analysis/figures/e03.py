"""E3: quality of the cloud's model, the edge's alone, and the edge's with the cloud's KV."""

from figures import measured
from figures.common import *

import pandas as pd
import quality

TITLE = "What sharing KV costs in quality"
STATEMENTS = [
    ("second-hand", "Quality is comparable to that of the large model."),
    ("ours", measured.OURS),
    ("ours", "On books that neither model was trained on, the edge's model with mapped KV of the cloud must do better than "
     "without the context, with 95 % confidence at every length, and be compared with its own full prefill. What holds "
     "on another kind of text is a finding, without a bar. That the large model alone is better than "
     "both is shown, not hidden."),
]
RUNS = []
COMMANDS = [measured.COMMAND]


def save(_, path):
    style.use()
    quality.draw_loss(quality.read_table(measured.TABLE), path)


def check(_):
    table = quality.read_table(measured.TABLE)
    verdicts, found = [], []
    for text, where in (("same", "books never trained on"), ("other", "another kind of text")):
        rows = {label.strip(): r.set_index("context") for label, _, r in quality.ways(table[table.text == text])}
        none = rows["edge, no context"]
        for codec in ("f16", "int8", "int4"):
            mapped = rows[f"edge + mapped KV, {codec}"]
            apart = mapped.excess_high < none.excess_low
            overlap = [f"{c:,}" for c in mapped.index[~apart]]
            said = (f"{where}, {codec}: mapped KV is {mapped.excess.max():.4f} bit/byte or less above "
                    f"own full prefill, no context {none.excess.min():.4f} or more"
                    + (f"; intervals overlap at {', '.join(overlap)} bytes" if overlap else
                       "; intervals apart at every length"))
            if text == "same":
                verdicts.append((bool(apart.all()), said))
            else:
                found.append(said + ("" if apart.all() else ": no gain that is significant"))
    pairs = pd.read_csv(measured.COMPARISONS)
    pairs = pairs[(pairs.text == "same") & (pairs.context == "all")].set_index(["better", "worse"])
    mapped = "mapped from normed aligned of 3"
    for worse in ("no context", "mean KV", "copied", "mapped from normed uniform of 1"):
        row = pairs.loc[(mapped, worse)]
        verdicts.append((bool(row.loss_low > 0 and row.kl_low > 0),
                         f"all lengths, {row.windows} windows, pairwise: {mapped} is better than {worse} by "
                         f"{row.loss:.4f} [{row.loss_low:.4f}, {row.loss_high:.4f}] bit/byte, in KL by "
                         f"{row.kl:.4f} [{row.kl_low:.4f}, {row.kl_high:.4f}]"))
    row = pairs.loc[(mapped, "mapped from normed uniform of 3")]
    found.append(f"from as many layers, aligned ones are better than evenly stretched ones by {row.loss:.5f} "
                 f"[{row.loss_low:.5f}, {row.loss_high:.5f}] bit/byte"
                 + ("" if row.loss_low > 0 else ": no difference that is significant"))
    verdicts += [(None, said) for said in found]
    windows = table.windows.unique()
    verdicts.append((len(windows) == 1 and windows[0] >= 30, f"intervals over {windows[0]} windows of text, bootstrap"))
    return verdicts
