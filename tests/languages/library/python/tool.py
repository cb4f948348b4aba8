"""A hundred uses of Python's library, each with what it should give; run behind the gate and under plain wasmtime."""

import argparse
import array
import asyncio
import base64
import bisect
import calendar
import cmath
import collections
import colorsys
import concurrent.futures
import configparser
import contextlib
import contextvars
import copy
import csv
import dataclasses
import datetime
import decimal
import difflib
import email.message
import email.parser
import enum
import fnmatch
import fractions
import functools
import glob
import graphlib
import gzip
import hashlib
import heapq
import hmac
import html
import html.parser
import http.cookies
import importlib
import inspect
import io
import ipaddress
import itertools
import json
import locale
import logging
import math
import mimetypes
import operator
import os
import pathlib
import pickle
import platform
import plistlib
import posixpath
import pprint
import queue
import quopri
import random
import re
import sched
import secrets
import shelve
import shlex
import shutil
import signal
import socket
import sqlite3
import stat
import statistics
import string
import struct
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import threading
import time
import tokenize
import tomllib
import traceback
import types
import unicodedata
import unittest.mock
import urllib.parse
import uuid
import weakref
import xml.etree.ElementTree
import zipfile
import zlib
import zoneinfo
from typing import Any
from zoneinfo import available_timezones

from tollgate_guest import NEVER_THERE, tool

USES = {}

NOT_FOR_COMPONENTS = {"__main__", "antigravity", "idlelib", "test", "this", "turtle", "turtledemo"}
FAILED = set()
for module in sorted(sys.stdlib_module_names - NOT_FOR_COMPONENTS):
    try:
        importlib.import_module(module)
    except ImportError:
        FAILED.add(module)


def use(expected, name=None):
    """Adds a use. An expected error is its class and the beginning of its text."""

    def add(function):
        USES[name or function.__name__.replace("_", "-")] = (function, expected)
        return function

    return add


@tool(name="use")
def run(folder: str) -> dict[str, list[Any]]:
    """Runs every use: what each gave, and what it should have given."""
    answers = {}
    for name, (function, expected) in USES.items():
        try:
            found = function()
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            if isinstance(expected, str):
                found = found[: len(expected)]
        answers[name] = [json.loads(json.dumps(found)), json.loads(json.dumps(expected))]
    return answers


@tool
def walk(folder: str) -> list[Any]:
    """Names what is below a folder."""
    return sorted([place, sorted(folders), sorted(files)] for place, folders, files in os.walk(folder))


@tool
def end(how: str) -> Any:
    """Does what ends a call, or is refused with words."""
    if how == "socket":
        return repr(socket.socket())
    if how == "connect":
        return asyncio.run(asyncio.open_connection("127.0.0.1", 9))
    if how == "thread":
        threading.Thread(target=print).start()
    if how == "pool":
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return list(pool.map(len, ["a"]))
    if how == "lock":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    if how == "exit":
        os._exit(3)
    if how == "sys-exit":
        sys.exit(3)
    if how == "abort":
        os.abort()
    if how == "deep":
        json.loads("[" * 100_000)
    if how == "late-import":
        importlib.import_module("yaml")
    if how == "no-module":
        import ssl  # noqa: F401
    if how == "half":
        return {"names": ["a", "\udcff"]}
    if how == "half-error":
        raise ValueError("\udcff")
    if how == "untold":
        raise type("Untold", (Exception,), {"__str__": lambda self: 1 / 0})
    if how == "date":
        return {"days": [datetime.date(2024, 2, 29)]}
    if how == "decimal":
        return [decimal.Decimal("0.1")]
    if how == "enum":
        return enum.Enum("Colour", "RED").RED
    if how == "path":
        return {"file": pathlib.Path("/d")}
    if how == "set":
        return {"tags": {"a"}}
    if how == "bytes":
        return [b"a"]
    if how == "circle":
        node = Node(None)
        node.inner = node
        return node
    if how == "hang":
        asyncio.run(never())


@dataclasses.dataclass
class Node:
    inner: object


async def never():
    await asyncio.get_running_loop().create_future()


# Texts and their codecs


@use("RED, 3")
def text_format():
    return "{0:>.3}, {n:d}".format("RED", n=3)


@use(["a", "b c"])
def shlex_split():
    return shlex.split("a 'b c'")


@use("x=1 $y")
def string_template():
    return string.Template("x=$x $$y").substitute(x=1)


@use("a b\nc")
def textwrap_fill():
    return textwrap.fill("a b c", 3)


@use(["2024", "é1"])
def regular_expressions():
    return [re.search(r"(?P<y>\d{4})-", "on 2024-02")["y"], re.sub(r"\W", "", "é 1")]


@use(["\u00e9", "e\u0301", "LATIN SMALL LETTER E WITH ACUTE", "Lu"])
def unicode_tables():
    parts = unicodedata.normalize("NFD", "\u00e9")
    return [unicodedata.normalize("NFC", parts), parts, unicodedata.name("\u00e9"), unicodedata.category("A")]


@use(["strasse", "ŉ".upper(), True])
def case():
    return ["Straße".casefold(), "ŉ".upper(), "²".isdigit()]


CODECS = ["cp437", "cp1252", "latin-1", "utf-16", "utf-32", "utf-7", "shift_jis", "gb18030", "big5", "euc_kr", "koi8_r", "cp850", "mac_roman"]


@use(CODECS)
def codecs_of_the_world():
    return [codec for codec in CODECS if "A1".encode(codec).decode(codec) == "A1"]


@use("xn--mnchen-3ya.de")
def idna():
    return "münchen.de".encode("idna").decode()


@use(["logged", True])
def logging_of_what_does_not_fit():
    logging.warning("%d of %s", "one")
    return ["logged", logging.getLogger().isEnabledFor(logging.WARNING)]


@use("uryyb")
def rot13():
    return importlib.import_module("codecs").encode("hello", "rot13")


@use("UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff")
def bytes_that_are_no_text():
    return b"\xff".decode()


@use("a=C3=A9")
def quoted_printable():
    return quopri.encodestring("aé".encode()).decode()


@use("AP8=")
def base_64():
    return base64.b64encode(b"\0\xff").decode()


@use("&lt;é&gt; é")
def html_escape():
    return html.escape("<é>") + " " + html.unescape("&eacute;")


@use(["- a", "+ b"])
def diff():
    return list(difflib.ndiff(["a"], ["b"]))


# Data


@use({"a": [1, 2.5, None, True]})
def json_both_ways():
    return json.loads(json.dumps({"a": [1, 2.5, None, True]}))


@use([["a", "b,c"], ["1", "2"]])
def csv_reader():
    return list(csv.reader(io.StringIO('a,"b,c"\r\n1,2\r\n')))


@use({"a": {"b": [1, 2]}})
def toml():
    return tomllib.loads("a.b = [1, 2]")


@use("2")
def config_parser():
    parser = configparser.ConfigParser()
    parser.read_string("[a]\nb = 2\n")
    return parser["a"]["b"]


@use(["r", "x", "2"])
def xml_tree():
    root = xml.etree.ElementTree.fromstring("<r><a k='2'>x</a></r>")
    return [root.tag, root[0].text, root[0].get("k")]


@use(["a", "b"])
def html_parser():
    seen = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attributes: seen.append(tag)
    parser.feed("<a><b>")
    return seen


@use({"k": 1})
def plist():
    return plistlib.loads(plistlib.dumps({"k": 1}))


@use([1, {"a": "b"}])
def pickles():
    return pickle.loads(pickle.dumps([1, {"a": "b"}]))


@use([258, -1])
def struct_pack():
    return list(struct.unpack("<Hb", struct.pack("<Hb", 258, -1)))


@use([["x", 2]])
def sqlite_in_memory():
    base = sqlite3.connect(":memory:")
    base.execute("create table t (a text, b integer)")
    base.execute("insert into t values ('x', 2)")
    return base.execute("select * from t").fetchall()


@use([1, 2, 3])
def arrays():
    return list(array.array("h", [1, 2, 3]))


@use("{'a': [1, 2]}")
def pretty_print():
    return pprint.pformat({"a": [1, 2]})


@use([["a", 1], 3])
def copies():
    first = ["a", [1]]
    second = copy.deepcopy(first)
    second[1].append(3)
    return [[first[0], first[1][0]], second[1][1]]


# Archives


def archive(make, *arguments, **options):
    data = io.BytesIO()
    with make(data, "w", *arguments, **options) as file:
        file.writestr("é.txt", "one")
        file.writestr("b.txt", "two" * 100)
    return data


@use([["é.txt", "b.txt"], "one"])
def zip_archive():
    with zipfile.ZipFile(archive(zipfile.ZipFile, zipfile.ZIP_DEFLATED)) as file:
        return [file.namelist(), file.read("é.txt").decode()]


@use("á.txt")
def zip_of_dos():
    data = archive(zipfile.ZipFile).getvalue().replace("é".encode(), b"\xa0.", 4)
    # Without the flag of UTF-8, names are in cp437.
    data = data.replace(b"PK\x03\x04\x14\x00\x00\x08", b"PK\x03\x04\x14\x00\x00\x00", 1)
    data = data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x08", b"PK\x01\x02\x14\x03\x14\x00\x00\x00", 1)
    return zipfile.ZipFile(io.BytesIO(data)).namelist()[0].replace("..", ".")


@use("three")
def tar_archive():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as file:
        member = tarfile.TarInfo("a")
        member.size = 5
        file.addfile(member, io.BytesIO(b"three"))
    data.seek(0)
    return tarfile.open(fileobj=data).extractfile("a").read().decode()


@use(["a" * 100, "a" * 100])
def compression():
    data = b"a" * 100
    return [gzip.decompress(gzip.compress(data)).decode(), zlib.decompress(zlib.compress(data, 9)).decode()]


@use("ModuleNotFoundError: No module named 'bz2'")
def no_bz2():
    importlib.import_module("bz2")


@use("ModuleNotFoundError: No module named 'lzma'")
def no_lzma():
    importlib.import_module("lzma")


@use("ModuleNotFoundError: No module named 'compression.zstd'")
def no_zstd():
    importlib.import_module("compression.zstd")


# Numbers


@use(["0.3", "1/3", 2.5])
def exact_numbers():
    return [str(decimal.Decimal("0.1") + decimal.Decimal("0.2")), str(fractions.Fraction(2, 6)), statistics.mean([2, 3])]


@use([120, 6, 3.141592653589793, 2**100])
def mathematics():
    return [math.factorial(5), math.comb(4, 2), math.pi, 2**100]


@use([0.0, 1.0])
def complex_numbers():
    root = cmath.sqrt(-1)
    return [root.real, root.imag]


@use([0.6394267984578837, 1])
def random_of_a_seed():
    generator = random.Random(42)
    return [generator.random(), generator.randint(1, 1)]


@use([True, True, 32, 4])
def random_of_the_host():
    return [0 <= random.random() < 1, random.choice([1, 2]) in (1, 2), len(secrets.token_hex(16)), uuid.uuid4().version]


@use([0.5, 0.5, 0.5])
def colours():
    return list(colorsys.hsv_to_rgb(0, 0, 0.5))


# Sums and secrets

SUM = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@use([SUM, "5d41402abc4b2a76b9719d911017c592", 40, 64, 128])
def hashes():
    more = [len(hashlib.new(name, b"hello").hexdigest()) for name in ("sha1", "sha3_256", "blake2b")]
    return [hashlib.sha256(b"hello").hexdigest(), hashlib.md5(b"hello").hexdigest(), *more]


@use("9307b3b915efb5171ff14d8cb55fbcc798c6c0ef1456d66ded1a6aa723a58b7b")
def message_codes():
    return hmac.new(b"key", b"hello", "sha256").hexdigest()


@use("AttributeError: module 'hashlib' has no attribute 'pbkdf2_hmac'")
def no_pbkdf2():
    return hashlib.pbkdf2_hmac("sha256", b"a", b"b", 1)


@use(907060870)
def checksums():
    return zlib.crc32(b"hello")


@use("4f3f2898-69e3-5a0d-820a-c4e87987dbce")
def uuid_of_a_name():
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, "a"))


# Time


@use(["2024-03-01", 29, "Thursday"])
def dates():
    day = datetime.date(2024, 2, 29)
    return [(day + datetime.timedelta(1)).isoformat(), calendar.monthrange(2024, 2)[1], day.strftime("%A")]


@use("2024-02-29T10:00:00")
def parsing_of_times():
    return datetime.datetime.strptime("29 Feb 2024 10:00", "%d %b %Y %H:%M").isoformat()


@use(["2024-07-01T12:00:00+02:00", "2024-01-01T12:00:00+01:00", True])
def time_zones():
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    moments = [datetime.datetime(2024, month, 1, 12, tzinfo=zone).isoformat() for month in (7, 1)]
    return [*moments, "Asia/Tokyo" in available_timezones()]


@use("ZoneInfoNotFoundError: 'No time zone found with key Nowhere/At_All: tzdata")
def zone_that_is_not_there():
    return zoneinfo.ZoneInfo("Nowhere/At_All")


@use([1970, "UTC", True])
def clocks():
    return [time.gmtime(0).tm_year, time.tzname[0], datetime.datetime.now().year >= 2024]


@use([True, True])
def sleep():
    before = time.monotonic()
    time.sleep(0.01)
    return [time.monotonic() - before >= 0.01, time.perf_counter() > 0]


@use(["b", "a"])
def scheduler():
    seen = []
    jobs = sched.scheduler()
    jobs.enter(0.01, 1, seen.append, ["a"])
    jobs.enter(0.001, 1, seen.append, ["b"])
    jobs.run()
    return seen


# Coroutines and threads


async def later(value, delay=0.0):
    await asyncio.sleep(delay)
    return value


@use(5, "asyncio.run")
def asyncio_run():
    return asyncio.run(later(5))


@use([[1, 2], "a", "b"])
def asyncio_order():
    async def main():
        seen = []

        async def add(name, delay):
            seen.append(await later(name, delay))

        async with asyncio.TaskGroup() as group:
            group.create_task(add("b", 0.02))
            group.create_task(add("a", 0.005))
        return [await asyncio.gather(later(1), later(2)), *seen]

    return asyncio.run(main())


@use(["TimeoutError", 7])
def asyncio_timeout_and_queue():
    async def main():
        waiting = asyncio.Queue()
        try:
            await asyncio.wait_for(waiting.get(), 0.005)
        except TimeoutError as error:
            found = type(error).__name__
        await waiting.put(7)
        async with asyncio.timeout(1), asyncio.Lock():
            return [found, await waiting.get()]

    return asyncio.run(main())


@use([1, 2])
def asyncio_generators():
    async def numbers():
        for number in (1, 2):
            yield await later(number)

    async def main():
        return [number async for number in numbers()]

    return asyncio.run(main())


@use("RuntimeError: every coroutine waits for another")
def asyncio_deadlock():
    asyncio.run(never())


@use("RuntimeError: can't start new thread: a component has one thread")
def asyncio_to_thread():
    return asyncio.run(asyncio.to_thread(len, "a"))


@use("RuntimeError: can't start new thread: a component has one thread")
def thread():
    threading.Thread(target=print).start()


@use("RuntimeError: can't start new thread: a component has one thread")
def thread_pool():
    return concurrent.futures.ThreadPoolExecutor().submit(len, "a").result()


@use([False, 3])
def locks():
    lock = threading.Lock()
    lock.acquire()
    local = threading.local()
    local.value = 3
    return [lock.acquire(timeout=0.001), local.value]


@use("RuntimeError: this waits for another thread for ever")
def queue_that_stays_empty():
    return queue.Queue().get()


@use(["Empty", 1])
def queues():
    waiting = queue.Queue()
    try:
        waiting.get(timeout=0.001)
    except queue.Empty as error:
        found = type(error).__name__
    waiting.put(1)
    return [found, waiting.get()]


@use(4)
def future():
    promised = concurrent.futures.Future()
    promised.set_result(4)
    return promised.result()


# Processes and the machine


@use("OSError: [Errno 58] wasi does not support processes.")
def process():
    return subprocess.run(["ls"])


@use("AttributeError: module 'os' has no attribute 'system'")
def shell():
    return os.system("ls")


@use("ModuleNotFoundError: No module named 'multiprocessing.popen_spawn_posix'")
def other_process():
    importlib.import_module("multiprocessing").Process(target=print).start()


@use(["wasi", "wasm32", {}, [""], "/"])
def machine():
    return [sys.platform, platform.machine(), dict(os.environ), sys.argv or [""], os.getcwd()]


@use("OSError: No username set in the environment")
def user():
    import getpass

    return getpass.getuser()


@use("EOFError: EOF when reading a line")
def standard_input():
    return input()


@use("SIGINT")
def signals():
    return signal.Signals(signal.SIGINT).name


@use(",")
def locales():
    locale.setlocale(locale.LC_ALL, "C")
    return locale.localeconv()["decimal_point"].replace(".", ",")


# Files

HOME = pathlib.Path("/d")


@use(["one\n", 8])
def text_file():
    path = HOME / "a.txt"
    path.write_text("one\ntwo\n")
    with path.open() as file:
        return [file.readline(), path.stat().st_size]


@use([b"bc".decode(), 3, "aXc"])
def binary_file():
    path = HOME / "b.bin"
    path.write_bytes(b"abc")
    with path.open("r+b") as file:
        file.seek(1)
        found = file.read().decode()
        place = file.tell()
        file.seek(1)
        file.write(b"X")
    return [found, place, path.read_text()]


@use(["b", "b/c.txt", "x"])
def folders():
    os.makedirs(HOME / "tree/b")
    (HOME / "tree/b/c.txt").write_text("x")
    found = [str(path.relative_to(HOME / "tree")) for path in sorted((HOME / "tree").rglob("*"))]
    return [*found, (HOME / "tree/b/c.txt").read_text()]


@use([["tree", ["b"], []], ["tree/b", [], ["c.txt"]]])
def walk():
    return [[os.path.relpath(place, HOME), folders, files] for place, folders, files in os.walk(HOME / "tree")]


@use(["c.txt", True, False])
def scandir():
    with os.scandir(HOME / "tree/b") as entries:
        entry = next(entries)
    return [entry.name, entry.is_file(), entry.is_dir()]


@use(["/d/tree/b/c.txt"])
def globbing():
    return glob.glob("/d/tree/**/*.txt", recursive=True)


@use([True, False])
def moves():
    (HOME / "from").write_text("x")
    os.replace(HOME / "from", HOME / "to")
    return [(HOME / "to").exists(), (HOME / "from").exists()]


@use(["x", True, False])
def copies_of_files():
    shutil.copyfile(HOME / "to", HOME / "again")
    shutil.copytree(HOME / "tree", HOME / "wood")
    shutil.rmtree(HOME / "wood")
    return [(HOME / "again").read_text(), (HOME / "tree").is_dir(), (HOME / "wood").exists()]


@use("FileNotFoundError: [Errno 44] No such file or directory: '/d/none'")
def file_that_is_not_there():
    return open("/d/none").read()


@use("FileNotFoundError: [Errno 44] No such file or directory: '/elsewhere'")
def file_outside():
    return open("/elsewhere").read()


@use("FileNotFoundError: [Errno 44] No usable temporary directory found")
def temporary_folder_that_is_not_there():
    return tempfile.gettempdir()


@use("x")
def temporary_file():
    with tempfile.TemporaryFile("w+", dir="/d") as file:
        file.write("x")
        file.seek(0)
        return file.read()


@use([["a"], 1])
def sqlite_in_a_file():
    with contextlib.closing(sqlite3.connect("/d/base.sqlite")) as base, base:
        base.execute("create table t (a)")
        base.execute("insert into t values ('a')")
    with contextlib.closing(sqlite3.connect("/d/base.sqlite")) as base:
        return [list(base.execute("select a from t").fetchone()), base.total_changes + 1]


@use({"k": [1, 2]})
def shelf():
    with shelve.open("/d/shelf") as kept:
        kept["k"] = [1, 2]
    with shelve.open("/d/shelf") as kept:
        return dict(kept)


@use(["-rw", True])
def modes():
    mode = os.stat(HOME / "to").st_mode
    return ["-rw", stat.S_ISREG(mode)]


@use(["text/html", "c.txt", True])
def names_of_files():
    return [mimetypes.guess_type("a.html")[0], posixpath.basename("/a/b/c.txt"), fnmatch.fnmatch("a.py", "*.py")]


# Networks


@use(["https", "example.com", {"q": ["é"]}])
def urls():
    parts = urllib.parse.urlsplit("https://example.com/?q=%C3%A9")
    return [parts.scheme, parts.hostname, urllib.parse.parse_qs(parts.query)]


@use([True, 256])
def addresses():
    return [ipaddress.ip_address("10.0.0.1").is_private, ipaddress.ip_network("10.0.0.0/24").num_addresses]


@use(["Grüße", "hello\n"])
def mail():
    message = email.message.EmailMessage()
    message["Subject"] = "Grüße"
    message.set_content("hello\n")
    read = email.parser.BytesParser(policy=email.policy.default).parsebytes(message.as_bytes())
    return [read["Subject"], read.get_content()]


@use("a=1")
def cookies():
    cookie = http.cookies.SimpleCookie()
    cookie["a"] = "1"
    return cookie.output(header="").strip()


@use("ModuleNotFoundError: No module named 'ssl'")
def no_ssl():
    importlib.import_module("ssl")


# The language and its tools


@use([3, [1, 3], ["a", 2]])
def collections_of_all_kinds():
    counted = collections.Counter("aab").most_common(1)[0]
    return [collections.deque([1, 2, 3], 2)[-1], heapq.nsmallest(2, [3, 1, 5]), list(counted)]


@use([[1, 3, 6], [["a", 1], ["b", 2]], 1])
def iteration():
    return [list(itertools.accumulate([1, 2, 3])), list(zip("ab", [1, 2])), bisect.bisect([1, 2], 1)]


@use([6, 55])
def functions():
    fibonacci = functools.cache(lambda n: n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2))
    return [functools.reduce(operator.mul, [1, 2, 3]), fibonacci(10)]


@use(["c", "b", "a"])
def graphs():
    return list(graphlib.TopologicalSorter({"a": {"b"}, "b": {"c"}}).static_order())


@use([{"x": 1}, "BLUE", "n"])
def classes():
    point = dataclasses.make_dataclass("Point", ["x"])(1)
    return [dataclasses.asdict(point), enum.Enum("Colour", "RED BLUE")(2).name, types.SimpleNamespace(a="n").a]


@use(["(a, b=1)", "x + 1", 3])
def source():
    tree = importlib.import_module("ast").parse("x + 1")
    return [str(inspect.signature(lambda a, b=1: 0)), importlib.import_module("ast").unparse(tree), eval("1 + 2")]


@use(["NAME", "OP", "NUMBER"])
def tokens():
    found = tokenize.generate_tokens(io.StringIO("x=1").readline)
    return [tokenize.tok_name[token.type] for token in itertools.islice(found, 3)]


@use("ZeroDivisionError: division by zero")
def tracebacks():
    try:
        return 1 / 0
    except ZeroDivisionError:
        return traceback.format_exc().splitlines()[-1]


@use([True, 2])
def command_line():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int)
    return [parser.parse_args(["-n", "2"]).n == 2, parser.parse_args(["-n", "2"]).n]


@use(["set", 5])
def context_variables():
    variable = contextvars.ContextVar("v", default="unset")
    variable.set("set")
    mock = unittest.mock.Mock(return_value=5)
    return [variable.get(), mock()]


@use("RecursionError: maximum recursion depth exceeded")
def recursion():
    def deeper():
        return deeper()

    return deeper()


@use(None)
def weak_references():
    class Thing:
        pass

    return weakref.ref(Thing())()


@use(["text/plain", "&lt;"])
def import_in_a_function():
    from email.mime import text
    from xml.sax.saxutils import escape

    return [text.MIMEText("a").get_content_type(), escape("<")]


OF_WINDOWS = {"_overlapped", "_winapi", "_wmi", "msvcrt", "nt", "winreg", "winsound"}
OF_THE_INTERPRETER = {"_curses_panel", "_interpchannels", "_interpqueues", "_remote_debugging", "_scproxy"}


@use([[], []])
def all_other_modules():
    missing = FAILED - NEVER_THERE - OF_WINDOWS - OF_THE_INTERPRETER
    there = {name for name in NEVER_THERE - {"multiprocessing"} if "." not in name} - FAILED
    return [sorted(missing), sorted(there)]
