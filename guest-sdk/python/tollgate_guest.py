"""Tollgate's SDK for tools in Python: `@tool` makes an operation of a plain function.

    from typing import Annotated
    from tollgate_guest import ToolError, log, tool

    @tool
    def greet(name: Annotated[str, "Who is greeted."], title: str | None = None) -> str:
        \"\"\"Greets someone by name.\"\"\"
        if not name:
            raise ToolError("no-name", "say who is greeted")
        return f"Hello {title + ' ' if title else ''}{name}"

The function stays callable as it is, so unit tests call it. Hints may be str, int, float, bool, None, Any, list[T],
dict[str, T], T | None, Literal, dataclasses and TypedDicts; a text in Annotated is a description. A parameter with a default is
optional. This file uses the standard library alone, and must never ask the host for anything before the tool does.
"""

import dataclasses
import errno
import inspect
import json
import logging
import math
import os
import re
import types
import typing

log = logging.getLogger("tool")
log.setLevel(logging.DEBUG)


class ToolError(Exception):
    """The tool's own refusal: a short stable code (`not-found`), and what the agent should know and do."""

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclasses.dataclass(frozen=True)
class Context:
    """The call that is being answered."""

    id: str
    session: str | None
    deadline_left: float
    """Seconds, in steps of 0.1, rounded down."""


def context() -> Context:
    """Asks the host about this call; denied unless the manifest says `[needs] context = true` and it is granted.

    Outside a component, so in unit tests, the call is a fixed one with a minute left.
    """
    return ask_host()


ask_host = lambda: Context("0" * 32, None, 60.0)  # noqa: E731, the component puts its own here


DRAFT = "https://json-schema.org/draft/2020-12/schema"
"""The only draft of JSON Schema that a host takes."""


def describe() -> list[tuple[str, str, str, str]]:
    """What the host is told of each operation: name, description, and the schemas of arguments and answer as JSON text."""
    told = lambda shape: json.dumps({"$schema": DRAFT, **shape.schema})  # noqa: E731
    return [(each.name, each.description, told(each.input), told(each.output)) for each in OPERATIONS.values()]


@dataclasses.dataclass(frozen=True)
class Operation:
    """A function as the host sees it."""

    name: str
    description: str
    input: "Shape"
    output: "Shape"
    function: typing.Callable


OPERATIONS: dict[str, Operation] = {}
"""By name, in the order of the source."""


def tool(function=None, /, *, name: str | None = None):
    """Makes `function` an operation, called as the function is (`_` as `-`), or `name`; described by its docstring."""
    if function is None:
        return lambda function: tool(function, name=name)
    if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"@tool {function!r}: only a plain function can be an operation (no class, no `async def`)")
    name = name or function.__name__.replace("_", "-")
    where = f"@tool {function.__name__}"
    if not re.fullmatch("[a-z][a-z0-9-]{0,63}", name):
        raise TypeError(f'{where}: {name!r} is no name for an operation: use a-z, 0-9 and -, as in @tool(name="read-file")')
    if name in OPERATIONS:
        raise TypeError(f"{where}: another operation is called {name!r}: give one of them another name")
    description = inspect.getdoc(function)
    if not description:
        raise TypeError(f"{where}: write a docstring: agents choose an operation by its description")
    hints = typing.get_type_hints(function, include_extras=True)
    fields, required = {}, []
    for parameter in inspect.signature(function).parameters.values():
        at = f"{where}: parameter `{parameter.name}`"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{at}: arguments come by name, so `*`, `**` and `/` parameters cannot be used")
        if parameter.name not in hints:
            raise TypeError(f"{at}: say its type, as in `{parameter.name}: str`")
        fields[parameter.name] = shape(hints[parameter.name], at)
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    if "return" not in hints:
        raise TypeError(f"{where}: say the type of the answer, as in `-> str`, or `-> None`")
    answer = shape(hints["return"], f"{where}: the answer")
    OPERATIONS[name] = Operation(name, description, record(fields, required, dict), answer, function)
    return function


def invoke(operation: str, arguments: str) -> str:
    """Answers a call: JSON text in and out. Raises `ToolError`, whatever goes wrong."""
    try:
        return answered(operation, arguments)
    except ToolError as error:
        # Half a character, as of a file name that is no UTF-8, cannot leave a component: `\\udcff` can.
        text = lambda words: told(words).encode("utf-8", "backslashreplace").decode()  # noqa: E731
        raise ToolError(text(error.code), text(error.message)) from error


def answered(operation: str, arguments: str) -> str:
    found = OPERATIONS.get(operation)
    if found is None:
        raise ToolError("unknown-operation", f"this tool has no operation {operation!r}")
    try:
        values = found.input.read(json.loads(arguments), "")
    except ValueError as error:
        raise ToolError("invalid-arguments", str(error)) from None
    try:
        answer = found.function(**values)
        return as_json(answer)
    except ToolError:
        raise
    except OSError as error:
        text = told(error.strerror or error) or type(error).__name__
        raise ToolError(CODES.get(error.errno, "io"), f"{text}: {told(error.filename)}" if error.filename else text) from error
    except BaseException as error:  # SystemExit too: nothing may end the interpreter
        text = words(error)
        raise ToolError("exception", type(error).__name__ + (f": {text}" if text else "") + place(error, found)) from error


def as_json(answer) -> str:
    """Raises `ToolError` with the place of the first value that is no JSON."""
    try:
        # NaN is no JSON; a dataclass is an object of its fields.
        text = json.dumps(answer, allow_nan=False, ensure_ascii=False, default=fields_of)
        text.encode()
        return text
    except (TypeError, ValueError, RecursionError):
        fault = misfit(answer, "", ())
        if fault is None:
            raise
        raise ToolError("invalid-answer", f"the answer cannot be JSON: {fault}") from None


def fields_of(value) -> dict:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} is no JSON")
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def misfit(value, path: str, around: tuple) -> str | None:
    """What in an answer is no JSON: its place, its type, and what to write instead."""
    at = f"at {path}: " if path else ""
    if value is None or isinstance(value, (bool, int)):
        return None
    if isinstance(value, str):
        half = next((letter for letter in value if "\ud800" <= letter <= "\udfff"), None)
        return half and f"{at}a text with {half!r}, which is half a character: {INSTEAD['*half']}"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{at}{value} is no number in JSON: write None"
    if any(value is outer for outer in around) or len(around) > DEPTH_MAX:
        return f"{at}the {type(value).__name__} {'holds itself' if len(around) <= DEPTH_MAX else 'is nested too deeply'}"
    around = (*around, value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = fields_of(value)
    if isinstance(value, dict):
        parts = [(name, item, f"{path}.{name}".lstrip(".")) for name, item in value.items()]
        odd = next((name for name, _, _ in parts if not isinstance(name, (str, int, float, type(None)))), None)
        if odd is not None:
            return f"{at}a key is a {type(odd).__name__}: keys are texts, so write str(key)"
        keys = (misfit(name, f"{path} (a key)".lstrip(), ()) for name, _, _ in parts)
    elif isinstance(value, (list, tuple)):
        parts, keys = [(None, item, f"{path}[{index}]") for index, item in enumerate(value)], ()
    else:
        kinds = [kind.__name__ for kind in type(value).__mro__]
        instead = next((INSTEAD[kind] for kind in kinds if kind in INSTEAD), None)
        if instead is None:
            instead = INSTEAD["*list"] if hasattr(value, "__iter__") else INSTEAD["*other"]
        return f"{at}a value of the type {type(value).__name__}: {instead}"
    inside = (misfit(item, place, around) for _, item, place in parts)
    return next(filter(None, (*keys, *inside)), None)


DEPTH_MAX = 200
"""Deeper answers are refused: the host takes no more than 128 levels."""

INSTEAD = {
    "date": "write .isoformat()",
    "time": "write .isoformat()",
    "timedelta": "write .total_seconds()",
    "Decimal": "write str(…), or float(…) where rounding does no harm",
    "Fraction": "write str(…), or float(…) where rounding does no harm",
    "Enum": "write .value",
    "PurePath": "write str(…)",
    "UUID": "write str(…)",
    "bytes": "write .decode() of a text, base64.b64encode(…).decode() of data",
    "bytearray": "write .decode() of a text, base64.b64encode(…).decode() of data",
    "set": "write sorted(…) or list(…)",
    "frozenset": "write sorted(…) or list(…)",
    "complex": "write [….real, ….imag]",
    "coroutine": "write asyncio.run(…)",
    "*half": "write text.encode('utf-8', 'replace').decode()",
    "*list": "write list(…)",
    "*other": "write a str, int, float, bool, None, list, dict or dataclass instead",
}
"""What to write in the place of a type; `*` marks what is no name of one."""


def told(value) -> str:
    """A value as a text. Its own way to say it is the tool's code, and may fail too."""
    try:
        return str(value)
    except BaseException as error:
        return f"({type(value).__name__} has no text: {type(error).__name__})"


def words(error: BaseException) -> str:
    """An error's own text; of a module that is not there, with what to do."""
    text = told(error)
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return text
    if NEVER_THERE & {error.name, error.name.partition(".")[0]}:
        return f"{text}: Python has none in a component; use another module"
    return (
        f"{text}: a component has the modules that were imported when it was built; import it by its name in tool.py "
        "(a package must be in .venv), and build again"
    )


NEVER_THERE = frozenset(
    "_bz2 _ctypes _curses _dbm _gdbm _hashlib _interpreters _lzma _multiprocessing _posixshmem _posixsubprocess _ssl _tkinter _uuid "
    "_zstd bz2 compression.bz2 compression.lzma compression.zstd ctypes curses fcntl grp lzma mmap multiprocessing pty pwd readline "
    "resource ssl syslog termios tkinter tty".split()
)
"""Modules that need a system, a library or a machine that a component does not have."""


# The codes that tools in Rust give for the same errors.
CODES = {errno.ENOENT: "not-found", errno.EEXIST: "already-exists"}
CODES |= {errno.ENOTDIR: "not-a-folder", errno.EISDIR: "is-a-folder"}
CODES |= dict.fromkeys([errno.EACCES, errno.EPERM, errno.EROFS], "not-permitted")
CODES |= dict.fromkeys([errno.ENOSPC, errno.EDQUOT, errno.EFBIG], "no-space")


def place(error: BaseException, operation: Operation) -> str:
    """The innermost line of the tool's own files."""
    folder = os.path.dirname(operation.function.__code__.co_filename)
    trace, found = error.__traceback__, ""
    while trace:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(folder) and file != __file__:
            found = f" (at {file.removeprefix(folder).lstrip('/')}:{trace.tb_lineno})"
        trace = trace.tb_next
    return found


@dataclasses.dataclass(frozen=True)
class Shape:
    """A type as JSON: its schema, and how a value at a JSON path is read as it, which raises ValueError."""

    schema: dict
    read: typing.Callable[[object, str], object]


def fault(path: str, text: str) -> ValueError:
    return ValueError(f"at {path}: {text}" if path else text)


def expect(holds: bool, words: str, value, path: str):
    if not holds:
        raise fault(path, f"expected {words}, found {json.dumps(value)[:80]}")
    return value


def shape(hint, where: str, inside: tuple = ()) -> Shape:
    """What `hint` is as JSON; `where` is what an error names, `inside` are the classes around it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        inner = shape(args[0], where, inside)
        texts = [text for text in args[1:] if isinstance(text, str)]
        return Shape({**inner.schema, "description": texts[0]}, inner.read) if texts else inner
    if hint in PLAIN:
        return PLAIN[hint]
    if origin in (typing.Required, typing.NotRequired):
        return shape(args[0], where, inside)
    if origin is typing.Literal and all(isinstance(value, str) for value in args):
        return one_of(args)
    if origin is list and len(args) == 1:
        return sequence(shape(args[0], f"{where}: its elements", inside))
    if origin is dict and len(args) == 2 and args[0] is str:
        return mapping(shape(args[1], f"{where}: its values", inside))
    if origin in (typing.Union, types.UnionType) and len(args) == 2 and type(None) in args:
        return optional(shape(args[0] if args[1] is type(None) else args[1], where, inside))
    if hint in inside:
        raise TypeError(f"{where}: `{hint.__name__}` holds itself: a host takes no schema that refers to itself")
    if dataclasses.is_dataclass(hint) or typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        required = [name for name in hints if name in required_of(hint)]
        fields = {name: shape(inner, f"{where}: `{hint.__name__}.{name}`", (*inside, hint)) for name, inner in hints.items()}
        return record(fields, required, hint)
    known = "str, int, float, bool, None, Any, list[T], dict[str, T], T | None, Literal of texts, a dataclass or a TypedDict"
    raise TypeError(f"{where}: {hint!r} cannot be JSON: take {known}")


def required_of(hint) -> set[str]:
    if typing.is_typeddict(hint):
        return hint.__required_keys__
    missing = (dataclasses.MISSING, dataclasses.MISSING)
    return {field.name for field in dataclasses.fields(hint) if (field.default, field.default_factory) == missing}


def plain(name: str, words: str, *kinds: type) -> Shape:
    def read(value, path):
        if kinds == (int,) and isinstance(value, float) and value.is_integer():
            return int(value)
        # In Python a bool is an int; in JSON it is not.
        return expect(isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)), words, value, path)

    return Shape({"type": name}, read)


PLAIN = {
    str: plain("string", "a text", str),
    int: plain("integer", "an integer", int),
    float: plain("number", "a number", int, float),
    bool: plain("boolean", "true or false", bool),
    type(None): plain("null", "null", type(None)),
    typing.Any: Shape({}, lambda value, path: value),
}


def one_of(values: tuple) -> Shape:
    words = f"one of {', '.join(values)}"
    return Shape({"type": "string", "enum": list(values)}, lambda value, path: expect(value in values, words, value, path))


def sequence(element: Shape) -> Shape:
    def read(value, path):
        expect(isinstance(value, list), "a list", value, path)
        return [element.read(item, f"{path}[{index}]") for index, item in enumerate(value)]

    return Shape({"type": "array", "items": element.schema}, read)


def mapping(element: Shape) -> Shape:
    def read(value, path):
        expect(isinstance(value, dict), "an object", value, path)
        return {name: element.read(item, f"{path}.{name}".lstrip(".")) for name, item in value.items()}

    return Shape({"type": "object", "additionalProperties": element.schema}, read)


def optional(inner: Shape) -> Shape:
    schema = {"anyOf": [inner.schema, {"type": "null"}]}
    return Shape(schema, lambda value, path: None if value is None else inner.read(value, path))


def record(fields: dict[str, Shape], required: list[str], make: typing.Callable) -> Shape:
    def read(value, path):
        expect(isinstance(value, dict), "an object", value, path)
        for name in value:
            if name not in fields:
                raise fault(path, f"unknown property `{name}`, expected {', '.join(fields) or 'none'}")
        for name in required:
            if name not in value:
                raise fault(path, f"missing property `{name}`")
        return make(**{name: fields[name].read(item, f"{path}.{name}".lstrip(".")) for name, item in value.items()})

    properties = {name: field.schema for name, field in fields.items()}
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Shape(schema, read)
