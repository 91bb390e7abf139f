"""Results files of celslm as pandas DataFrames.

    import celslm_results
    results = celslm_results.open("results/quickstart.h5")
    requests = results.table("requests")     # one row per request, names as categories
    requests.groupby("strategy").ttft.mean()
    requests.attrs["units"]["ttft"]          # "s"
    results.provenance["seed"]

A study (celslm sweep) is opened the same way:

    study = celslm_results.open("results/load.h5")
    study.axes                               # name -> values, in SI units
    study.summary()                          # a row per place, replication and strategy
    study.estimate("ttft_p95")               # mean over replications with a 95 % interval
    study.paired("ttft_mean", "ce-lslm")     # differences under the same load, with intervals

A file that cannot be read raises ResultsError with one line that says why; scripts wrap their
main function in `run`, which prints that line and exits with status 2.
docs/results-format.md describes every table and column.
"""

import builtins
import os
import re
import sys
from xml.etree import ElementTree

import h5py
import numpy as np
import pandas as pd

FORMAT = "celslm results"
STUDY = "celslm study"
FORMAT_VERSION = 1
NONE = 0xFFFFFFFF  # in a column of names: none of them
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}


class ResultsError(Exception):
    """The file is not a complete results file; the text is one line, ready to print."""


class _Tables:
    """A file with tables, which are read when they are asked for, and kept."""

    def __init__(self, path, file):
        self.path = path
        self._file = file
        self._kept = {}
        group = self._file.get("provenance", {})
        self.provenance = {name: _text(group[name][()]) for name in group}

    @property
    def tables(self):
        """The names of the tables in the file."""
        return [name for name in self._file["/"] if name not in self.NO_TABLES]

    def names(self, table, column):
        """The names that the values of a column stand for; [] if they are plain numbers."""
        return [_text(name) for name in self._column(table, column).attrs.get("names", [])]

    def table(self, name):
        """A table as a DataFrame; .attrs["units"] and .attrs["descriptions"] map its columns."""
        if name not in self._kept:
            self._kept[name] = self._read(name)
        return self._kept[name]

    def _group(self, table):
        if table not in self._file:
            there = ", ".join(self.tables) or "none"
            if isinstance(self, Study):
                there += " (celslm sweep --requests keeps them)"
            raise ResultsError(f'{self.path}: there is no table "{table}"; there are {there}')
        return self._file[table]

    def _column(self, table, column):
        group = self._group(table)
        if column not in group:
            there = ", ".join(group)
            raise ResultsError(
                f'{self.path}: table "{table}" has no column "{column}"; there are {there}'
            )
        return group[column]

    def _read(self, table):
        columns, units, descriptions = {}, {}, {}
        for name, data in self._group(table).items():
            try:
                values = data[:]
            except OSError:
                raise ResultsError(
                    f'{self.path}: column "{name}" of table "{table}" cannot be read: '
                    "the file is damaged"
                ) from None
            labels = self.names(table, name)
            columns[name] = _categories(values, labels) if labels else values
            units[name] = _text(data.attrs.get("units", "1"))
            descriptions[name] = _text(data.attrs.get("description", ""))
        frame = pd.DataFrame(columns)
        frame.attrs["units"] = units
        frame.attrs["descriptions"] = descriptions
        return frame


class Results(_Tables):
    """One results file."""

    NO_TABLES = ("provenance",)

    @property
    def strategies(self):
        """The strategies that have rows in the file, in the scenario's order."""
        table = next((t for t in ("summary", "requests") if t in self.tables), None)
        if table is None:
            raise ResultsError(f"{self.path}: has neither a summary nor requests")
        return list(self.table(table).strategy.cat.remove_unused_categories().cat.categories)

    def setting(self, name, otherwise):
        """A time in the scenario's <results>, such as its warmup, in s."""
        try:
            scenario = ElementTree.fromstring(self.provenance["scenario"])
            text = scenario.find("results").get(name)
            number, unit = re.fullmatch(r"([-+.\deE]+) ?([a-z]+)", text).groups()
            return float(number) * SECONDS[unit]
        except (KeyError, AttributeError, TypeError, ValueError, ElementTree.ParseError):
            return otherwise


class Study(_Tables):
    """One study file: arrays over axes, replications and strategies; tables of requests only if it
    was made with --requests."""

    NO_TABLES = ("provenance", "axes", "summary", "points")

    def __init__(self, path, file):
        super().__init__(path, file)
        self.axes, self.units = {}, {}
        self._dimension = {}  # axis -> dimension of the arrays
        sample = next(iter(self._file["summary"].values()))
        self.shape = sample.shape
        for number, dimension in enumerate(sample.dims):
            for name, scale in dimension.items():
                name = name or dimension.label
                values = scale[:]
                if values.dtype.kind in "OS":
                    values = np.array([_text(v) for v in values])
                self.axes[name] = values
                self.units[name] = _text(scale.attrs.get("units", "1"))
                self._dimension[name] = number

    @property
    def strategies(self):
        """Their names, in the scenario's order."""
        return list(self.axes["strategy"])

    @property
    def columns(self):
        """The names of the columns of the summary."""
        return list(self._file["summary"])

    def array(self, column):
        """One column of the summary as an array with a dimension for each axis."""
        if column not in self._file["summary"]:
            raise ResultsError(f'{self.path}: the summary has no column "{column}"; there are '
                               + ", ".join(self.columns))
        return self._file["summary"][column][...]

    def unit(self, name):
        """The unit of an axis or of a column."""
        if name in self.units:
            return self.units[name]
        return _text(self._file["summary"][name].attrs.get("units", "1"))

    def describe(self, column):
        return _text(self._file["summary"][column].attrs.get("description", ""))

    def summary(self):
        """A row per place, replication and strategy: axes first, then the columns."""
        places = np.indices(self.shape).reshape(len(self.shape), -1)
        data = {name: values[places[self._dimension[name]]] for name, values in self.axes.items()}
        data.update({name: self.array(name).reshape(-1) for name in self.columns})
        frame = pd.DataFrame(data)
        frame["strategy"] = pd.Categorical(frame["strategy"], self.strategies)
        frame.attrs["units"] = {name: self.unit(name) for name in frame.columns}
        return frame

    def estimate(self, column):
        """Over the replications: the mean and its 95 % interval (Student's t), a row per place and
        strategy, columns mean, low, high, n. NaN where a point has no value."""
        frame = self.summary()
        keys = [name for name in self.axes if name != "replication"]
        groups = frame.groupby(keys, observed=True, sort=False)[column]
        out = groups.agg(mean="mean", deviation="std", n="count").reset_index()
        half = _student(out["n"]) * out.pop("deviation") / np.sqrt(out["n"])
        out["low"], out["high"] = out["mean"] - half, out["mean"] + half
        out.attrs["units"] = {column: self.unit(column)}
        return out

    def paired(self, column, base):
        """Each strategy against `base` under the same load: a row per place and other strategy.
        mean, low, high: of the differences between the two in each replication (strategy minus
        base), with a 95 % interval (Student's t; one draw of the load has the same requests for
        all, so most of its noise is in both and goes); n; below: replications in which the
        difference is negative."""
        if base not in self.strategies:
            raise ResultsError(f'{self.path}: there is no strategy "{base}"; there are '
                               + ", ".join(self.strategies))
        self.array(column)  # it is there
        frame = self.summary()
        keys = [name for name in self.axes if name not in ("replication", "strategy")]
        wide = frame.pivot_table(index=[*keys, "replication"], columns="strategy", values=column,
                                 observed=True)
        rows = []
        for name in self.strategies:
            if name == base or name not in wide or base not in wide:
                continue
            gap = (wide[name] - wide[base]).rename("gap").reset_index()
            groups = gap.assign(strategy=name).groupby([*keys, "strategy"], sort=False)["gap"]
            rows.append(groups.agg(mean="mean", deviation="std", n="count",
                                   below=lambda g: int((g < 0).sum())).reset_index())
        if not rows:
            raise ResultsError(f'{self.path}: there is nothing to compare "{base}" with')
        out = pd.concat(rows, ignore_index=True)
        half = _student(out["n"]) * out.pop("deviation") / np.sqrt(out["n"])
        out["low"], out["high"] = out["mean"] - half, out["mean"] + half
        out.attrs["units"] = {column: self.unit(column)}
        return out

    def points(self):
        """How each point came about: status, error and what the axes set."""
        group = self._file["points"]
        texts = {n: [_text(v) for v in group[n][...].reshape(-1)] for n in ("error", "set")}
        return pd.DataFrame({"status": group["status"][...].reshape(-1), **texts})


# The 97.5 % quantiles of Student's t for 1, 2, ... 30 degrees of freedom (any table of it).
_T = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010,
      2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739,
      2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423]


def _student(n):
    """By table; beyond it by its expansion around the normal's quantile (Abramowitz and Stegun
    26.7.5), good to 1e-5 there. NaN for fewer than two values."""
    z = 1.959964

    def quantile(count):
        degrees = int(count) - 1
        if degrees < 1:
            return np.nan
        if degrees <= len(_T):
            return _T[degrees - 1]
        return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)

    return np.array([quantile(count) for count in n])


def open(path):  # noqa: A001 (celslm_results.open reads as it should)
    """Opens a results file (Results) or a study (Study)."""
    path = os.fspath(path)
    file = _open(path)
    kind = Study if _text(file.attrs["format"]) == STUDY else Results
    return kind(path, file)


def run(main):
    """Calls `main()`; a ResultsError becomes one line on stderr and exit status 2."""
    try:
        sys.exit(main())
    except ResultsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def _categories(values, labels):
    codes = values.astype(np.int64)
    codes[(codes < 0) | (codes >= len(labels))] = -1  # NONE becomes NaN
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(labels))


def _open(path):
    """The open h5py file, checked to be one of ours."""
    try:
        size = os.stat(path).st_size
        with builtins.open(path, "rb"):
            pass
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None
    if size == 0:
        raise ResultsError(f"{path}: is empty; the run that made it did not finish")
    if not h5py.is_hdf5(path):
        raise ResultsError(f"{path}: is not an HDF5 file; give a results file")
    try:
        file = h5py.File(path, "r")
    except OSError:
        raise ResultsError(
            f"{path}: is cut short or damaged: {size} bytes are not the whole"
        ) from None
    if _text(file.attrs.get("format", "")) not in (FORMAT, STUDY):
        raise ResultsError(
            f"{path}: is an HDF5 file, but no results file of celslm (its root has no attribute "
            f'format="{FORMAT}")'
        )
    version = file.attrs.get("format_version", -1)
    if version != FORMAT_VERSION:
        raise ResultsError(
            f"{path}: is of format version {version}; this program reads version {FORMAT_VERSION}"
        )
    return file
