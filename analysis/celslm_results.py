"""Results files of celslm as pandas DataFrames.

    import celslm_results
    results = celslm_results.open("results/quickstart.h5")
    requests = results.table("requests")     # one row per request, names as categories
    requests.groupby("strategy").ttft.mean()
    requests.attrs["units"]["ttft"]          # "s"
    results.provenance["seed"]

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
FORMAT_VERSION = 1
NONE = 0xFFFFFFFF  # in a column of names: none of them
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}


class ResultsError(Exception):
    """The file is not a complete results file; the text is one line, ready to print."""


class Results:
    """One results file. Tables are read when they are asked for, and kept."""

    def __init__(self, path):
        self.path = os.fspath(path)
        self._file = _open(self.path)
        self._kept = {}
        group = self._file.get("provenance", {})
        self.provenance = {name: _text(group[name][()]) for name in group}

    @property
    def tables(self):
        """The names of the tables in the file."""
        return [name for name in self._file["/"] if name != "provenance"]

    def names(self, table, column):
        """The names that the values of a column stand for; [] if they are plain numbers."""
        return [_text(name) for name in self._column(table, column).attrs.get("names", [])]

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

    def table(self, name):
        """A table as a DataFrame; .attrs["units"] and .attrs["descriptions"] map its columns."""
        if name not in self._kept:
            self._kept[name] = self._read(name)
        return self._kept[name]

    def _group(self, table):
        if table not in self._file:
            there = ", ".join(self.tables) or "none"
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


def open(path):  # noqa: A001 (celslm_results.open reads as it should)
    """Opens a results file."""
    return Results(path)


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
    if _text(file.attrs.get("format", "")) != FORMAT:
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
