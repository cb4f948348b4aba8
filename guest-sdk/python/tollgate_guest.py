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
    found = OPERATIONS.get(operation)
    if found is None:
        raise ToolError("unknown-operation", f"this tool has no operation {operation!r}")
    try:
        values = found.input.read(json.loads(arguments), "")
    except ValueError as error:
        raise ToolError("invalid-arguments", str(error)) from None
    try:
        # NaN is no JSON; a dataclass is an object of its fields.
        return json.dumps(found.function(**values), allow_nan=False, ensure_ascii=False, default=dataclasses.asdict)
    except ToolError:
        raise
    except OSError as error:
        text = f"{error.strerror or error}: {error.filename}" if error.filename else str(error.strerror or error)
        raise ToolError(CODES.get(error.errno, "io"), text) from error
    except BaseException as error:  # SystemExit too: nothing may end the interpreter
        raise ToolError("exception", f"{type(error).__name__}: {error}{place(error, found)}") from error


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
