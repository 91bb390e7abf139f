"""analysis/ on made-up results files, in the directory that test_analysis.c prepares: the library
reads what was written, the pictures come out, the parts of a bar add up, errors are one line.

Usage: analysis_test.py ANALYSIS_DIRECTORY, in a directory with 1.h5, 3.h5, 8.h5 (so many strategies),
empty.h5, text.h5, short.h5, newer.h5, bare.h5 (no tables), idle.h5 (no requests).
"""

import random
import struct
import subprocess
import sys
import unittest

ANALYSIS = sys.argv.pop(1)
sys.path.insert(0, ANALYSIS)

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import breakdown  # noqa: E402
import celslm_results  # noqa: E402
import plot  # noqa: E402
import style  # noqa: E402
import timeline  # noqa: E402


def png_size(path):
    with open(path, "rb") as file:
        head = file.read(24)
    assert head[:8] == b"\x89PNG\r\n\x1a\n", path
    return struct.unpack(">II", head[16:24])


def run_plot(*arguments):
    return subprocess.run([sys.executable, f"{ANALYSIS}/plot.py", *arguments], capture_output=True,
                          text=True, check=False)


class Library(unittest.TestCase):
    def test_tables(self):
        results = celslm_results.open("3.h5")
        self.assertEqual(results.tables, ["requests", "timeline", "summary"])
        self.assertEqual(results.strategies, ["cloud-only", "edge-only", "ce-lslm"])
        self.assertEqual(results.provenance["seed"], "42")
        requests = results.table("requests")
        self.assertEqual(list(requests)[:5], ["strategy", "end", "context_source", "correct", "id"])
        self.assertEqual(requests.attrs["units"]["ttft"], "s")
        self.assertIn("time to first token", requests.attrs["descriptions"]["ttft"])
        self.assertEqual(set(requests.end), {"completed"})
        self.assertEqual(len(requests), 3 * 400)

    def test_what_is_not_there(self):
        results = celslm_results.open("3.h5")
        for ask, message in (
            (lambda: results.table("z"), 'there is no table "z"; there are requests, timeline, '),
            (lambda: results.names("summary", "z"), 'table "summary" has no column "z"; '),
        ):
            with self.assertRaises(celslm_results.ResultsError) as caught:
                ask()
            self.assertIn(message, str(caught.exception))

    def test_the_one_line_of_the_docs(self):
        frame = pd.DataFrame({k: v[:] for k, v in h5py.File("3.h5")["requests"].items()})
        parts = frame.t_up + frame.t_wait + frame.t_cloud + frame.t_comm + frame.t_edge
        np.testing.assert_allclose(parts - frame.t_hidden + frame.t_down, frame.ttft, rtol=1e-9)

    def test_the_summary_is_that_of_the_rows(self):
        results = celslm_results.open("3.h5")
        requests, summary = results.table("requests"), results.table("summary")
        of = requests.groupby("strategy").ttft
        kept = summary.set_index("strategy")
        for name in results.strategies:
            self.assertAlmostEqual(of.mean()[name], kept.ttft_mean[name], places=12)
            self.assertAlmostEqual(of.quantile(0.95)[name], kept.ttft_p95[name], places=12)


class Messages(unittest.TestCase):
    CASES = {
        "gone.h5": "gone.h5: cannot be read: No such file or directory",
        "empty.h5": "empty.h5: is empty; the run that made it did not finish",
        "text.h5": "text.h5: is not an HDF5 file; give a results file",
        "short.h5": "short.h5: is cut short or damaged: 4000 bytes are not the whole",
        "newer.h5": "newer.h5: is of format version 2; this program reads version 1",
        "bare.h5": "bare.h5: has neither a summary nor requests",
        "idle.h5": "idle.h5: there are no requests in it",
    }

    def test_files(self):
        for file, message in self.CASES.items():
            with self.assertRaises(celslm_results.ResultsError) as caught:
                plot.draw(celslm_results.open(file), None, None, "never.png")
            self.assertEqual(str(caught.exception), message)

    def test_status(self):
        for arguments, message in (
            (["text.h5"], "text.h5: is not an HDF5 file; give a results file\n"),
            (["1.h5", "--strategy", "x"],
             '1.h5: there is no strategy "x"; there are cloud-only\n'),
            (["1.h5", "-o", "no/such/x.png"],
             "no/such/x.png: cannot be written: No such file or directory\n"),
        ):
            done = run_plot(*arguments)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (2, "", message))
        done = run_plot("1.h5", "-o", "picture.gif")
        self.assertEqual(done.returncode, 2)
        self.assertIn("give a name that ends in .png, .pdf or .svg", done.stderr)


class Pictures(unittest.TestCase):
    def test_any_number_of_strategies(self):
        for n in (1, 3, 8):
            plot.draw(celslm_results.open(f"{n}.h5"), None, None, f"{n}.png")
            self.assertEqual(png_size(f"{n}.png")[0], style.WIDTH * style.DPI)

    def test_parts_and_kinds(self):
        results = celslm_results.open("3.h5")
        for only in plot.PANELS:
            plot.draw(results, only, None, f"{only}.png")
            png_size(f"{only}.png")
        plot.draw(results, "timeline", ["ce-lslm"], "one.png")
        self.assertLess(png_size("one.png")[1], png_size("timeline.png")[1])
        for kind, head in (("pdf", b"%PDF"), ("svg", b"<?xml")):
            plot.draw(results, "cdf", None, f"a.{kind}")
            with open(f"a.{kind}", "rb") as file:
                self.assertTrue(file.read().startswith(head))

    def test_same_file_same_bytes(self):
        for kind in ("png", "pdf", "svg"):
            written = []
            for name in ("first", "second"):
                plot.draw(celslm_results.open("3.h5"), "cdf", None, f"{name}.{kind}")
                with open(f"{name}.{kind}", "rb") as file:
                    written.append(file.read())
            self.assertEqual(*written, msg=kind)

    def test_command_line(self):
        done = run_plot("1.h5")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "1.png\n", ""))


class Bars(unittest.TestCase):
    """Sum of the parts - hidden = length of the bar, whatever the parts."""

    def random_parts(self, rng):
        parts = {c: rng.choice([0, rng.expovariate(1)]) for c, _, _ in style.PARTS}
        work = [parts[c] for c in ("t_cloud", "t_comm", "t_edge")]
        parts["t_hidden"] = rng.choice([0, 1, rng.random()]) * (sum(work) - max(work))
        return parts

    def test_the_parts_add_up(self):
        rng = random.Random(1)
        for _ in range(2000):
            parts = self.random_parts(rng)
            spans, hidden = breakdown.layout(parts)
            total = sum(parts.values()) - 2 * parts["t_hidden"]
            for part, begin, end in spans:
                self.assertAlmostEqual(end - begin, parts[part])
                self.assertGreaterEqual(begin, -1e-12)
            self.assertAlmostEqual(max((e for _, _, e in spans), default=0), total)
            self.assertAlmostEqual(sum(e - b for b, e in hidden), parts["t_hidden"])
            covered = sum(b - a for a, b in zip(*self.edges(spans)) if self.active(spans, a, b))
            self.assertAlmostEqual(covered, total)  # no gap

    def edges(self, spans):
        xs = sorted({x for _, b, e in spans for x in (b, e)})
        return xs, xs[1:]

    def active(self, spans, left, right):
        return [p for p, b, e in spans if b < right - 1e-12 and e > left + 1e-12]

    def test_long_bars_are_shortened(self):
        rng = random.Random(2)
        for _ in range(500):
            parts = self.random_parts(rng)
            total = sum(parts.values()) - 2 * parts["t_hidden"]
            cuts = breakdown._cuts(parts, total, 0.5 * total)
            self.assertTrue(all(0 < cut <= parts[part] for part, cut in cuts.items()))
            if parts["t_hidden"] == 0 and total > 0:
                self.assertAlmostEqual(total - sum(cuts.values()), 0.5 * total)


class Lanes(unittest.TestCase):
    def test_spans_of_a_lane_do_not_overlap(self):
        rng = np.random.default_rng(3)
        begin = rng.uniform(0, 10, 200)
        end = begin + rng.exponential(0.05, 200)
        depth, lane = timeline._pack(begin, end)
        if depth < timeline.MAX_DEPTH:
            for k in range(depth):
                order = np.argsort(begin[lane == k])
                self.assertTrue(np.all(end[lane == k][order][:-1] <= begin[lane == k][order][1:]))
        self.assertEqual(lane.max() + 1, depth)

    def test_lanes(self):
        results = celslm_results.open("3.h5")
        spans = results.table("timeline")
        lanes = timeline.lanes_of(results, spans[spans.strategy == "ce-lslm"])
        labels = [label for _, _, label, _ in lanes]
        self.assertIn("edge1/llama-1b", labels)
        self.assertIn("→ edge2", labels)
        self.assertEqual(labels[-1], "cell4")
        self.assertEqual(sum(len(own) for *_, own in lanes), (spans.strategy == "ce-lslm").sum())
        few, left_out = timeline.busiest(lanes, 3)
        self.assertEqual((len(few), left_out), (3, len(lanes) - 3))


class Words(unittest.TestCase):
    def test_seconds(self):
        for value, text in ((0, "0 µs"), (1.4249, "1.42 s"), (0.99951, "1.00 s"), (0.142, "142 ms"),
                            (3.14e-5, "31.4 µs"), (1234.5, "1234 s")):
            self.assertEqual(style.seconds(value), text)

    def test_colours_differ(self):
        names = ["ce-lslm serial", "ce-lslm", "cloud-only", "edge-only", "a", "b", "c", "d"]
        self.assertEqual(len(set(style.strategy_colours(names).values())), 8)
        self.assertEqual(style.strategy_colours(["edge-only"])["edge-only"], style.ORANGE)

    def test_shorten(self):
        self.assertEqual(style.shorten("edge1/llama-3.2-1b", 10), "edge1…2-1b")
        self.assertEqual(style.shorten("edge1", 10), "edge1")


if __name__ == "__main__":
    unittest.main()
