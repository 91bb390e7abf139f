#!/usr/bin/python3
"""Compares the strategies of a study with one of them, pair by pair: in each replication all strategies
serve the same requests, so their difference there is free of most of the noise of the draw. Prints,
for each place of the study and each other strategy, the mean difference with its 95 % interval over the
replications (Student's t), and in how many of them the order is the other way round."""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    import celslm_results
    import lines
except ModuleNotFoundError as missing:
    print(f"paired.py: this Python has no {missing.name}; on Debian: apt install python3-h5py "
          "python3-pandas python3-matplotlib, and run it with /usr/bin/python3", file=sys.stderr)
    sys.exit(2)


def arguments():
    parser = argparse.ArgumentParser(
        prog="paired.py", description=__doc__,
        epilog="example: celslm sweep scenarios/pipelining.xml --axis '//poisson/@rate=0.5/s 1/s' "
        "--replications 20 -o results/pipelining.h5 && analysis/paired.py results/pipelining.h5")
    parser.add_argument("study", help="a file written by celslm sweep")
    parser.add_argument("--column", default="ttft_mean", metavar="NAME",
                        help="of the summary (default: ttft_mean)")
    parser.add_argument("--against", metavar="STRATEGY",
                        help="all others are compared with it (default: the first)")
    return parser.parse_args()


def shown(study, name, value):
    factor, unit = lines.scale_of(study.unit(name), abs(value))
    return f"{value / factor:.4g}{'' if unit.startswith('1/') else ' '}{unit.removeprefix('1')}".strip()


def verdict(row):
    """What is sure, and how often a single draw says otherwise."""
    if row.low > 0:
        return f"higher, {row.below} of {row.n} inverted"
    if row.high < 0:
        return f"lower, {row.n - row.below} of {row.n} inverted"
    return f"not sure, {row.below} of {row.n} lower"


def main():
    args = arguments()
    study = celslm_results.open(args.study)
    if not isinstance(study, celslm_results.Study):
        raise celslm_results.ResultsError(f"{args.study}: is one run, not a study; make one with "
                                          "celslm sweep --replications N")
    base = args.against or study.strategies[0]
    table = study.paired(args.column, base)
    if table["n"].max() < 2:
        raise celslm_results.ResultsError(f"{args.study}: has one replication; there are no intervals "
                                          "(celslm sweep --replications N)")
    factor, unit = lines.scale_of(study.unit(args.column), table["mean"].abs().max())
    level = study.estimate(args.column)
    axes = [n for n in study.axes if n not in ("replication", "strategy")]
    print(f'{args.column}{f" ({unit})" if unit else ""} minus that of "{base}", {table["n"].max()} pairs')
    for place in table[axes].drop_duplicates().itertuples(index=False) if axes else [()]:
        rows = table
        for name, value in zip(axes, place):
            rows = rows[rows[name] == value]
        own = level[level.strategy == base]
        for name, value in zip(axes, place):
            own = own[own[name] == value]
        where = ", ".join(f"{n} {v if isinstance(v, str) else shown(study, n, v)}"
                          for n, v in zip(axes, place))
        print(f"\n{where + ': ' if where else ''}{base} {own['mean'].iloc[0] / factor:.4g}")
        for row in rows.itertuples():
            print(f"  {row.strategy:32}{row.mean / factor:9.4g}  {row.low / factor:9.4g} to "
                  f"{row.high / factor:<9.4g}  {verdict(row)}")
    return 0


if __name__ == "__main__":
    celslm_results.run(main)
