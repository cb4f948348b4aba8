"""Tests of the SDK on the host: python3 -m unittest, in this folder."""

import datetime
import decimal
import enum
import json
import pathlib
import unittest
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import tollgate_guest
from tollgate_guest import OPERATIONS, ToolError, context, invoke, tool


@dataclass
class Item:
    name: str
    count: int = 1
    tags: list[str] = field(default_factory=list)


class Options(TypedDict):
    mode: Literal["fast", "exact"]
    factor: NotRequired[float]


@tool(name="all-kinds")
def kinds(items: list[Item], options: Options, prices: dict[str, float], note: Annotated[str | None, "A note."] = None, *, raw: Any = 0) -> list[Item]:
    """Takes all kinds of arguments."""
    assert all(isinstance(item, Item) for item in items)
    return items


@tool
def fails(how: Literal["os", "full", "bug", "exit", "nan", "half", "empty", "untold", "untold-os", "refuse"]) -> float:
    """Fails."""
    untold = type("Untold", (Exception,), {"__str__": lambda self: 1 / 0})
    if how == "empty":
        raise ValueError
    if how == "untold":
        raise untold
    if how == "untold-os":
        raise OSError(2, untold(), "/docs")
    if how == "os":
        open("/nowhere/at/all")
    if how == "full":
        raise OSError(28, "No space left on device", "/out/a")
    if how == "bug":
        return 1 / 0
    if how == "exit":
        raise SystemExit(3)
    if how == "nan":
        return float("nan")
    if how == "half":
        raise ToolError("not-here", "\udcff.txt is not here")
    raise ToolError("refused", "not today")


def refusal(operation: str, arguments: Any) -> tuple[str, str]:
    try:
        invoke(operation, arguments if isinstance(arguments, str) else json.dumps(arguments))
    except ToolError as error:
        return error.code, error.message
    raise AssertionError("it answered")


class Schemas(unittest.TestCase):
    def test_the_host_is_told_their_draft(self):
        draft = "https://json-schema.org/draft/2020-12/schema"
        for _, _, *schemas in tollgate_guest.describe():
            self.assertEqual([json.loads(schema)["$schema"] for schema in schemas], [draft, draft])

    def test_of_all_kinds(self):
        operation = OPERATIONS["all-kinds"]
        self.assertEqual(operation.description, "Takes all kinds of arguments.")
        schema = operation.input.schema
        self.assertEqual((schema["required"], schema["additionalProperties"]), (["items", "options", "prices"], False))
        self.assertEqual(
            schema["properties"],
            {
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string"},
                            "count": {"type": "integer"},
                            "tags": {"type": "array", "items": {"type": "string"}},
                        },
                        "required": ["name"],
                        "additionalProperties": False,
                    },
                },
                "options": {
                    "type": "object",
                    "properties": {"mode": {"type": "string", "enum": ["fast", "exact"]}, "factor": {"type": "number"}},
                    "required": ["mode"],
                    "additionalProperties": False,
                },
                "prices": {"type": "object", "additionalProperties": {"type": "number"}},
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "A note."},
                "raw": {},
            },
        )

    def test_are_in_the_order_of_the_source(self):
        self.assertEqual(list(OPERATIONS), ["all-kinds", "fails"])


class Arguments(unittest.TestCase):
    GOOD = {"items": [{"name": "a"}, {"name": "b", "count": 2.0}], "options": {"mode": "fast"}, "prices": {"x": 1}}

    def test_become_what_the_hints_say(self):
        answer = json.loads(invoke("all-kinds", json.dumps(self.GOOD)))
        self.assertEqual(answer, [{"name": "a", "count": 1, "tags": []}, {"name": "b", "count": 2, "tags": []}])

    def test_that_do_not_fit_are_named_by_their_path(self):
        cases = [
            ({"items": [{"name": "a"}, {"name": 3}]}, "at items[1].name: expected a text, found 3"),
            ({"items": [{"count": 3}]}, "at items[0]: missing property `name`"),
            ({"items": [{"name": "a", "count": True}]}, "at items[0].count: expected an integer, found true"),
            ({"items": [{"name": "a", "x": 1}]}, "at items[0]: unknown property `x`, expected name, count, tags"),
            ({"options": {"mode": "slow"}}, 'at options.mode: expected one of fast, exact, found "slow"'),
            ({"prices": {"x": "1"}}, 'at prices.x: expected a number, found "1"'),
            ({"note": []}, "at note: expected a text, found []"),
            ({"extra": 1}, "unknown property `extra`, expected items, options, prices, note, raw"),
        ]
        for change, message in cases:
            self.assertEqual(refusal("all-kinds", {**self.GOOD, **change}), ("invalid-arguments", message))
        self.assertEqual(refusal("all-kinds", {}), ("invalid-arguments", "missing property `items`"))
        self.assertEqual(refusal("all-kinds", "[1")[0], "invalid-arguments")
        self.assertEqual(refusal("all-kinds", "[]"), ("invalid-arguments", "expected an object, found []"))


class Failures(unittest.TestCase):
    def test_have_a_code(self):
        self.assertEqual(refusal("fails", {"how": "os"}), ("not-found", "No such file or directory: /nowhere/at/all"))
        self.assertEqual(refusal("fails", {"how": "full"}), ("no-space", "No space left on device: /out/a"))
        self.assertEqual(refusal("fails", {"how": "refuse"}), ("refused", "not today"))
        self.assertEqual(refusal("nothing", {})[0], "unknown-operation")

    def test_that_have_no_text_are_told_by_their_class(self):
        self.assertRegex(refusal("fails", {"how": "empty"})[1], r"^ValueError \(at test_tollgate_guest\.py:\d+\)$")
        untold = "(Untold has no text: ZeroDivisionError)"
        code, message = refusal("fails", {"how": "untold"})
        self.assertEqual((code, message.partition(" (at ")[0]), ("exception", f"Untold: {untold}"))
        self.assertEqual(refusal("fails", {"how": "untold-os"}), ("not-found", f"{untold}: /docs"))

    def test_name_the_line_of_the_tool(self):
        code, message = refusal("fails", {"how": "bug"})
        self.assertEqual(code, "exception")
        self.assertRegex(message, r"^ZeroDivisionError: division by zero \(at test_tollgate_guest\.py:\d+\)$")

    def test_never_end_the_interpreter(self):
        self.assertRegex(refusal("fails", {"how": "exit"})[1], "^SystemExit: 3")


class Answers(unittest.TestCase):
    """What is no JSON is refused with its place, its type, and what to write."""

    def fault(self, answer):
        with self.assertRaises(ToolError) as raised:
            tollgate_guest.as_json(answer)
        self.assertEqual(raised.exception.code, "invalid-answer")
        start = "the answer cannot be JSON: "
        self.assertTrue(raised.exception.message.startswith(start))
        return raised.exception.message.removeprefix(start)

    def test_name_the_place_and_what_to_write(self):
        class Colour(enum.Enum):
            RED = 1

        cases = [
            ({"days": [datetime.date(2024, 2, 29)]}, "at days[0]: a value of the type date: write .isoformat()"),
            ([datetime.timedelta(1)], "at [0]: a value of the type timedelta: write .total_seconds()"),
            (decimal.Decimal(1), "a value of the type Decimal: write str(…), or float(…) where rounding does no harm"),
            (Item("a", Colour.RED), "at count: a value of the type Colour: write .value"),
            ([[pathlib.Path("a")]], "at [0][0]: a value of the type PosixPath: write str(…)"),
            ({"a": {"b": {1}}}, "at a.b: a value of the type set: write sorted(…) or list(…)"),
            ([b"a"], "at [0]: a value of the type bytes: write .decode() of a text, base64.b64encode(…).decode() of data"),
            ({"a": iter([1])}, "at a: a value of the type list_iterator: write list(…)"),
            ([float("nan")], "at [0]: nan is no number in JSON: write None"),
            ({(1, 2): 1}, "a key is a tuple: keys are texts, so write str(key)"),
            (["\udcff"], "at [0]: a text with '\\udcff', which is half a character: write text.encode('utf-8', 'replace').decode()"),
            ({"\udcff": 1}, "at (a key): a text with '\\udcff', which is half a character: write text.encode('utf-8', 'replace').decode()"),
            (Item, "a value of the type type: write a str, int, float, bool, None, list, dict or dataclass instead"),
        ]
        for answer, message in cases:
            self.assertEqual(self.fault(answer), message)

    def test_that_hold_themselves(self):
        item, items = Item("a"), []
        item.tags = [item]
        items.append(items)
        self.assertEqual(self.fault(item), "at tags[0]: the Item holds itself")
        self.assertEqual(self.fault(items), "at [0]: the list holds itself")

    def test_of_all_that_is_json(self):
        class Level(enum.IntEnum):
            HIGH = 2

        answer = [Item("é"), {"a": (1, None)}, Level.HIGH, 2**70, {1: True}]
        expected = '[{"name": "é", "count": 1, "tags": []}, {"a": [1, null]}, 2, 1180591620717411303424, {"1": true}]'
        self.assertEqual(tollgate_guest.as_json(answer), expected)


class Words(unittest.TestCase):
    def test_half_a_character_leaves_as_its_escape(self):
        self.assertEqual(refusal("fails", {"how": "half"}), ("not-here", "\\udcff.txt is not here"))

    def test_of_modules_that_are_not_there(self):
        missing = ModuleNotFoundError("No module named 'yaml'", name="yaml")
        self.assertIn("import it by its name in tool.py (a package must be in .venv)", tollgate_guest.words(missing))
        never = ModuleNotFoundError("No module named '_ssl'", name="_ssl")
        self.assertTrue(tollgate_guest.words(never).endswith("Python has none in a component; use another module"))
        self.assertEqual(tollgate_guest.words(ImportError("cannot import name")), "cannot import name")


class Definitions(unittest.TestCase):
    """What a newcomer gets wrong, each with a message that says what to do."""

    def assert_refused(self, function, text, **options):
        with self.assertRaises(TypeError) as raised:
            tool(function, **options)
        self.assertIn(text, str(raised.exception))
        self.assertEqual(list(OPERATIONS), ["all-kinds", "fails"])

    def test_are_refused(self):
        def no_doc(a: str) -> str: ...
        def no_hint(a) -> str:
            "X."
        def no_answer(a: str):
            "X."
        def odd(a: set[str]) -> str:
            "X."
        def rest(*a: str) -> str:
            "X."
        async def waits() -> str:
            "X."
        def fails() -> str:
            "X."
        def Upper() -> str:
            "X."
        self.assert_refused(no_doc, "write a docstring")
        self.assert_refused(no_hint, "parameter `a`: say its type")
        self.assert_refused(no_answer, "say the type of the answer")
        self.assert_refused(odd, "parameter `a`: set[str] cannot be JSON: take str, int")
        self.assert_refused(rest, "arguments come by name")
        self.assert_refused(waits, "no `async def`")
        self.assert_refused(fails, "another operation is called 'fails'")
        self.assert_refused(Upper, "use a-z, 0-9 and -")
        self.assert_refused(Item, "only a plain function")

    def test_that_hold_themselves_are_refused(self):
        def grows(a: Loop) -> None:
            "X."
        self.assert_refused(grows, "`Loop` holds itself")


@dataclass
class Loop:
    inner: "list[Loop]"


class Host(unittest.TestCase):
    def test_the_call_is_a_fixed_one(self):
        self.assertEqual(context(), tollgate_guest.Context("0" * 32, None, 60.0))


if __name__ == "__main__":
    unittest.main()
