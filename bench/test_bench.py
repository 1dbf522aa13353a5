"""What can be checked without a proxy: python -B -m unittest discover -s bench"""

import os
import re
import socket
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import component
import document
import plugin
import process
import result as results
import sink
import wrk
from case import COMPARED, CONTENDERS, cases
from failure import Failure
from report import number
from statistic import spread
from target import COMPONENT_TARGETS, PLUGIN_TARGETS, TARGETS
from workload import UPLOAD

SAID = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections
Requests/sec: 110483.09
{"requests":%d,"duration":1001000,"p50":276,"p99":444,"errors":{"connect":0,"read":0,"write":0,"timeout":0,"status":%d}}
"""


def made(**samples):
    """A result with these CPU times of these cases, whose base is the first."""
    base = next(iter(samples))
    return {"cases": {name: {"contender": name, "workload": name, "base": None if name == base else base,
                             "samples": [{"cpu_us": value, "rps": 1e6 / value} for value in values]}
                      for name, values in samples.items()}}


class Plugins(unittest.TestCase):
    def test_memories_of_guests(self):
        lines = [("1000-2000 rw-p 0 00:01 9 /memfd:a", 4), ("2000-3000 rw-p 0 00:00 0", 8), ("3000-80003000 ---p 0 00:00 0", 0),
                 ("80003000-80004000 rw-p 0 00:00 0", 16), ("90000000-90002000 rw-p 0 00:00 0 [heap]", 32),
                 ("90002000-90003000 ---p 0 00:00 0", 0), ("90004000-90005000 rw-p 0 00:00 0", 64)]
        smaps = "".join(f"{line}\nSize: 9 kB\nRss: 9 kB\nPrivate_Dirty: {dirty} kB\n" for line, dirty in lines)
        self.assertEqual(process.reserved(smaps), 12)

    def test_names_and_ways(self):
        self.assertEqual([work.name for work in plugin.chosen([])], ["H1", "H2", "H3"])
        self.assertEqual([work.name for work in plugin.chosen(["H2", "W0"])], ["H2"])
        for work in plugin.WORKS:
            self.assertLessEqual(set(work.ways), set(plugin.WAYS))

    def test_targets_of_a_result(self):
        sample = {"rps": 10.0, "cpu_us": 5.0, "more_kib": 1000 * 100, "guests_kib": 1000 * 60}
        result = {"plugins": {f"{way}/{work.name}": [sample] for work in plugin.WORKS for way in work.ways}}
        values = [target.value(result) for target in PLUGIN_TARGETS]
        self.assertEqual(values, [100, 100, 100, 100, 0, 1, 100, 40])
        self.assertTrue(all(target.value({}) is None for target in PLUGIN_TARGETS))


class Components(unittest.TestCase):
    def test_names_and_ways(self):
        self.assertEqual([work.name for work in component.chosen(["C3", "H"])], ["C3"])
        for work in component.WORKS:
            self.assertLessEqual(set(work.ways), set(component.WAYS))

    def test_targets_of_a_result(self):
        sample = {"rps": 10.0, "cpu_us": 5.0, "more_kib": 1000}
        result = {"components": {f"{way}/{work.name}": [sample] for work in component.WORKS for way in work.ways}}
        values = [target.value(result) for target in COMPONENT_TARGETS]
        self.assertEqual(values, [100, 100, 100, 1, 100])
        self.assertTrue(all(target.value({}) is None for target in COMPONENT_TARGETS))


class Wrk(unittest.TestCase):
    def test_numbers_of_the_script(self):
        load = wrk.parse(SAID % (110600, 0), "u")
        self.assertEqual((load.requests, load.seconds, load.p50, load.p99), (110600, 1.001, 276, 444))

    def test_a_wrong_status_fails(self):
        with self.assertRaisesRegex(Failure, "status"):
            wrk.parse(SAID % (110600, 3), "u")

    def test_no_requests_fail(self):
        with self.assertRaises(Failure):
            wrk.parse(SAID % (0, 0), "u")

    def test_no_result_fails_with_what_wrk_said(self):
        with self.assertRaisesRegex(Failure, "unable to connect"):
            wrk.parse("unable to connect", "u")


class Statistics(unittest.TestCase):
    def test_spread(self):
        self.assertEqual(spread([3, 1, 2, 5, 4]), {"median": 3, "q1": 2, "q3": 4})
        self.assertEqual(spread([7]), {"median": 7, "q1": 7, "q3": 7})

    def test_differences_are_within_rounds(self):
        # The machine is slower in the second round; the filter costs 1 in each.
        result = made(base=[5, 50, 6], filter=[6, 51, 7])
        self.assertEqual(results.difference(result, "filter", "base"), {"median": 1, "q1": 1, "q3": 1})

    def test_a_missing_round_is_noticed(self):
        with self.assertRaises(ValueError):
            results.difference(made(base=[5, 6], filter=[6]), "filter", "base")

    def test_ratio(self):
        self.assertAlmostEqual(results.ratio(made(base=[4, 4], filter=[5, 5]), "filter", "base", "rps")["median"], 0.8)


class Cases(unittest.TestCase):
    def names(self, contenders, wanted=()):
        return [case.name for case in cases(contenders, wanted, iter(range(1, 1000)))]

    def test_every_base_is_measured(self):
        for contenders in (CONTENDERS, COMPARED):
            every = cases(contenders, (), iter(range(1, 1000)))
            names = {case.name for case in every}
            self.assertEqual([case.name for case in every if case.base not in names | {None}], [])

    def test_wanted_with_its_base(self):
        names = self.names(CONTENDERS, ["W3-pass"])
        self.assertIn("nginx/page", names)
        self.assertIn("debian-lua/W3-pass", names)
        self.assertNotIn("nginx/hello", names)

    def test_an_upload_is_compared_with_an_upload(self):
        names = self.names(CONTENDERS, ["W8"])
        self.assertEqual([name for name in names if name.startswith(("nginx/", "envoy"))], ["nginx/upload", "envoy/upload", "envoy-wasm/W8"])
        self.assertNotIn("debian-lua/W8", names)

    def test_what_targets_are_about_is_measured(self):
        result = made(**dict.fromkeys(self.names(CONTENDERS), [5.0, 5.0]))
        values = {target.name: target.value(result) for target in TARGETS if target.name.startswith(("A", "W"))}
        self.assertNotIn(None, values.values(), values)


class Sink(unittest.TestCase):
    def answers(self, *pieces):
        here, there = socket.socketpair()
        with here, there:
            connection = sink.Connection(there)
            for piece in pieces:
                connection.take(piece)
            there.shutdown(socket.SHUT_WR)
            return re.findall(rb"HTTP/1.1 (\d+).*?x-bench-whole: (\d)", here.recv(65536), re.DOTALL)

    def head(self, path, length):
        return b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (path, length)

    def test_an_upload_is_answered_when_it_is_complete(self):
        self.assertEqual(self.answers(self.head(b"/bench", 6), b"abc"), [])
        self.assertEqual(self.answers(self.head(b"/bench", 6)[:30], self.head(b"/bench", 6)[30:] + b"abc", b"def", self.head(b"/bench", 1) + b"a"),
                         [(b"200", b"0")] * 2)

    def test_what_is_checked(self):
        changed = UPLOAD.replace(b"dog", b"cat", 1)
        for body, right in ((UPLOAD, b"1"), (changed, b"0"), (UPLOAD[:-1], b"0")):
            self.assertEqual(self.answers(self.head(b"/check", len(body)), body[:70000], body[70000:]), [(b"200", right)])

    def test_no_length(self):
        self.assertEqual(self.answers(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), [(b"411", b"0")])


class Document(unittest.TestCase):
    TEXT = "by hand\n<!-- bench cases -->\nold\n<!-- end cases -->\nby hand too\n"

    def test_what_is_written_by_hand_stays(self):
        self.assertEqual(document.replace(self.TEXT, "cases", "new"), self.TEXT.replace("old", "\nnew"))
        again = document.replace(document.replace(self.TEXT, "cases", "new"), "cases", "new")
        self.assertEqual(again, document.replace(self.TEXT, "cases", "new"))

    def test_a_place_that_is_gone_is_noticed(self):
        with self.assertRaises(Failure):
            document.replace("by hand", "cases", "new")

    def test_numbers(self):
        self.assertEqual([number(value) for value in (0.123, -0.5, 12.34, 123456.7)], ["0.12", "−0.50", "12.3", "123,457"])


if __name__ == "__main__":
    unittest.main()
