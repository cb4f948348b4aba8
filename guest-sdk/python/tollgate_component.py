"""The app that componentize-py makes a component of: `tool.py` behind the world's export, and the host behind the SDK.

Loaded while the component is built, never in unit tests. It must not ask the host for anything by itself: what the
interpreter would ask unbidden (time for log records, a seed for `random`) is asked only where the tool does.
"""

import logging
import random
import sys
import types

# The interpreter calls `random.seed()` at the first call. Numbers come from the host instead, one request each, so that a
# tool that asks for none needs no right to any. `random.Random(42)` stays a generator of the tool's own.
numbers = random.SystemRandom()
for name in random.__all__:
    if hasattr(numbers, name):
        setattr(random, name, getattr(numbers, name))

import tollgate_guest  # noqa: E402
import tollgate_library  # noqa: E402
from componentize_py_types import Err  # noqa: E402
from wit_world import exports  # noqa: E402
from wit_world.exports import tool as wit  # noqa: E402
from wit_world.imports import call  # noqa: E402


class HostLog(logging.Handler):
    """Lines on stderr, with the level as sd-daemon(3) says; the host reads it from there."""

    def emit(self, record: logging.LogRecord) -> None:
        levels = [(logging.ERROR, "<3>"), (logging.WARNING, "<4>"), (logging.INFO, "<6>")]
        level = next((mark for least, mark in levels if record.levelno >= least), "<7>")
        try:
            text = self.format(record)
        except Exception:  # as of "%d" with a text: no reason to end what is logged
            return self.handleError(record)
        sys.stderr.write("".join(f"{level}{line}\n" for line in text.splitlines()))
        sys.stderr.flush()


def ask_host() -> tollgate_guest.Context:
    told = call.get_context()
    return tollgate_guest.Context(told.id, told.session, told.deadline_left_ms / 1000)


# A record would read the clock, which is a right of its own; the host knows the time of each line.
logging.time = types.SimpleNamespace(time=lambda: 0.0, time_ns=lambda: 0)
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = logging.logAsyncioTasks = False
logging.getLogger().addHandler(HostLog())
tollgate_guest.ask_host = ask_host

try:
    import tool  # noqa: E402, F401  the user's file: its decorators fill OPERATIONS
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(tollgate_guest.words(error), name=error.name) from error
tollgate_library.bring()

if not tollgate_guest.OPERATIONS:
    raise TypeError("tool.py has no operation: put @tool before a function")


class Tool(exports.Tool):
    """The world's export."""

    def operations(self) -> list[wit.Operation]:
        return [wit.Operation(*told) for told in tollgate_guest.describe()]

    def invoke(self, operation: str, arguments: str) -> str:
        # As in every interpreter that runs no script: what parses a command line leaves the first word out.
        sys.argv = sys.argv or [""]
        try:
            return tollgate_guest.invoke(operation, arguments)
        except tollgate_guest.ToolError as error:
            raise Err(wit.Error(error.code, error.message)) from None
