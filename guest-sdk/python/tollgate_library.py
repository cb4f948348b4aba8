"""What of Python's standard library must be told that it runs in a component: no thread, no process, no socket, no file of its
own, and no module that was not loaded while the component was built.

`bring` runs at the end of the build, after `tool.py` is loaded. Nothing here may ask the host for anything by itself.
"""

import dis
import encodings
import gc
import heapq
import importlib
import importlib.util
import io
import os
import sys
import threading
import time
import types


def bring() -> None:
    """Loads what calls will need, and mends what was loaded."""
    # `open`, archives and mail name a codec when they are used.
    for file in sorted(os.listdir(os.path.dirname(encodings.__file__))):
        load(f"encodings.{file.removesuffix('.py')}")
    for name in BY_C:
        load(name)
    load_imports_of_functions()
    for name in NAMED_IN_TEXTS:
        if name.rpartition(".")[0] in sys.modules:
            load(name)
    load_imports_of_functions()
    for name, mend in MENDED.items():
        if name in sys.modules:
            mend()
    # What is not loaded by now cannot be: no import looks for files, unless the tool names a folder that it may read.
    sys.path.clear()
    sys.path_importer_cache.clear()


BY_C = ("_strptime", "unicodedata", "heapq")
"""Modules that the interpreter itself loads when it first needs them, unseen by `load_imports_of_functions`."""

NAMED_IN_TEXTS = ("dbm.dumb", "dbm.sqlite3", "xml.dom.minidom", "xml.sax.expatreader")
"""Modules that their packages look up by a text: each where its package is loaded."""

DEAD_WEIGHT = frozenset(
    "_pyrepl argparse bdb cProfile code compileall ctypes doctest ensurepip ftplib getopt http idlelib importlib.metadata "
    "importlib.readers importlib.resources multiprocessing nturl2path optparse pdb pip pkgutil profile py_compile pydoc pydoc_data "
    "readline rlcompleter runpy socketserver ssl subprocess tkinter trace tracemalloc turtle unittest urllib.request venv webbrowser "
    "wsgiref xmlrpc".split()
)
"""What the library imports in functions for its own command lines, debugging, processes and networks. What the tool imports it gets."""


def load_imports_of_functions() -> None:
    """Loads what is imported in functions, so that `import` means the same there as at the top of a file."""
    seen = set()
    while True:
        functions = [found for found in gc.get_objects() if type(found) is types.FunctionType and found.__code__ not in seen]
        if not functions:
            return
        for function in functions:
            seen.add(function.__code__)
            importer = function.__globals__.get("__name__", "")
            if importer == __name__:
                continue
            of_library = importer.partition(".")[0] in sys.stdlib_module_names
            for name in imports(function.__code__, function.__globals__):
                if not (of_library and DEAD_WEIGHT & {name, name.partition(".")[0]}):
                    load(name)


def imports(code: types.CodeType, scope: dict):
    """The modules that a function imports, and those that it may: `b` of `from a import b` is a module, or is in one."""
    if IMPORT_NAME in code.co_code[::2]:
        constants = []
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
                constants = [*constants[-1:], step.argval]
            elif step.opname == "IMPORT_NAME" and len(constants) == 2:
                level, names = constants
                try:
                    module = importlib.util.resolve_name("." * level + step.argval, scope.get("__package__"))
                except ImportError:
                    continue
                yield module
                for name in names or ():
                    found = sys.modules.get(module)
                    if hasattr(found, "__path__") and name != "*" and not hasattr(found, name):
                        yield f"{module}.{name}"
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from imports(constant, scope)


IMPORT_NAME = dis.opmap["IMPORT_NAME"]


def load(name: str) -> None:
    """Loads a module that is there; that another is not shows where it is used."""
    if name not in sys.modules:
        try:
            importlib.import_module(name)
        except BaseException:  # noqa: BLE001 modules fail in many ways where they are not meant to be, `SystemExit` is one
            pass


# Threads: none can be started, so what waits for another one waits for ever.

NO_THREADS = "a component has one thread: call the function itself, without a thread or an executor"


def mend_threads() -> None:
    def start(*_args, **_options):
        raise RuntimeError(f"can't start new thread: {NO_THREADS}")

    def wait(self, timeout=None):
        if timeout is None:
            raise RuntimeError(f"this waits for another thread for ever: {NO_THREADS}")
        return wait_for_a_while(self, timeout)

    wait_for_a_while = threading.Condition.wait
    threading._start_joinable_thread = start
    threading.Condition.wait = wait


# Coroutines: the library's event loop waits for sockets, and makes a pair of them to wake itself.


def mend_asyncio() -> None:
    import asyncio
    from asyncio import base_events, events

    # The loop asks for the resolution of the clock when it is made.
    base_events.time = types.SimpleNamespace(
        monotonic=time.monotonic, get_clock_info=lambda name: types.SimpleNamespace(resolution=1e-9)
    )

    class Loop(base_events.BaseEventLoop):
        """Runs coroutines one after another; sleeps by the clock, which only those ask for that wait for a time."""

        def _run_once(self):
            while self._scheduled and self._scheduled[0]._cancelled:
                self._timer_cancelled_count -= 1
                heapq.heappop(self._scheduled)._scheduled = False
            if self._scheduled:
                now = self.time()
                if not self._ready and not self._stopping and self._scheduled[0]._when > now:
                    time.sleep(self._scheduled[0]._when - now)
                    # A clock that is frozen says what it said before.
                    now = self._scheduled[0]._when
                while self._scheduled and self._scheduled[0]._when <= now:
                    timer = heapq.heappop(self._scheduled)
                    timer._scheduled = False
                    self._ready.append(timer)
            elif not self._ready and not self._stopping:
                raise RuntimeError("every coroutine waits for another, or for what never happens: nothing is left to run")
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle._cancelled:
                    handle._run()

        def call_soon_threadsafe(self, callback, *args, context=None):
            return self.call_soon(callback, *args, context=context)

        def run_in_executor(self, executor, function, *args):
            raise RuntimeError(f"can't start new thread: {NO_THREADS}")

        async def shutdown_default_executor(self, timeout=None):
            """There is none."""

        def _process_events(self, event_list):
            """There are none: see `_run_once`."""

    asyncio.SelectorEventLoop = asyncio.EventLoop = Loop
    asyncio.unix_events.SelectorEventLoop = asyncio.unix_events.EventLoop = Loop
    events._get_event_loop_policy()._loop_factory = Loop


# Time zones: there is no /usr/share/zoneinfo. The zones of the package tzdata are taken along, some 400 KiB.


def mend_zoneinfo() -> None:
    import zoneinfo
    from importlib import resources
    from zoneinfo import _common, _tzpath

    zones, missing = {}, "is tzdata in requirements.txt, and installed, when the component is built?"
    try:
        folder = resources.files("tzdata")
        for name in folder.joinpath("zones").read_text().split():
            zones[name] = folder.joinpath("zoneinfo", *name.split("/")).read_bytes()
        missing = f"tzdata, as it was when the component was built, has {len(zones)} others"
    except (ImportError, OSError):
        pass

    def all_zones():
        return set(globals()["zones"])

    def load_zone(key):
        if key not in zones:
            raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}: {missing}")
        return io.BytesIO(zones[key])

    _common.load_tzdata = load_zone
    # Its code and not the function, which the tool may have imported by its name.
    _tzpath.zones, zoneinfo.available_timezones.__code__ = zones, all_zones.__code__
    zoneinfo.TZPATH = _tzpath.TZPATH = ()


MENDED = {"threading": mend_threads, "asyncio": mend_asyncio, "zoneinfo": mend_zoneinfo}
"""What is done where a module is loaded."""
