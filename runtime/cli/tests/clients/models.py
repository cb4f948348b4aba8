"""What the packages of three providers of models make of the tools that a daemon offers: their own types take every entry, and what a
model would answer is a call. The plan comes as the one argument, in JSON: the agent's socket, and arguments for each offered name;
one without is not called."""

import http.client
import json
import re
import socket
import sys

from anthropic.types import ToolParam, ToolUseBlock
from google.genai.types import FunctionCall, FunctionDeclaration, JSONSchema, Schema, Tool
from jsonschema import Draft202012Validator
from openai.types.responses import FunctionToolParam, ResponseFunctionToolCall
from pydantic import TypeAdapter

PLAN = json.loads(sys.argv[1])
NAME = re.compile("^[a-zA-Z][a-zA-Z0-9_-]{0,47}$")
COMBINATORS = {"oneOf", "anyOf", "allOf", "enum", "const", "not", "if", "$ref"}


class Daemon(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("localhost", timeout=60)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(PLAN["socket"])

    def asked(self, method, path, body=None):
        self.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
        return json.loads(self.getresponse().read())


def openai(entry, arguments):
    """The schema of an entry, and the name and arguments of what a model answers."""
    TypeAdapter(FunctionToolParam).validate_python(entry)
    answer = ResponseFunctionToolCall(
        type="function_call", call_id="c", name=entry["name"], arguments=json.dumps(arguments)
    )
    return entry["parameters"], answer.name, json.loads(answer.arguments)


def anthropic(entry, arguments):
    TypeAdapter(ToolParam).validate_python(entry)
    answer = ToolUseBlock(type="tool_use", id="c", name=entry["name"], input=arguments)
    return entry["input_schema"], answer.name, answer.input


def gemini(entry, arguments):
    declaration = FunctionDeclaration(**entry)
    Tool(function_declarations=[declaration])
    schema = entry["parametersJsonSchema"]
    # Its own subset, whose type knows no other keyword.
    Schema.from_json_schema(json_schema=JSONSchema.model_validate(schema, extra="forbid"))
    answer = FunctionCall(name=entry["name"], args=arguments)
    return schema, answer.name, answer.args


def forms(schema, arguments):
    """As a model gives arguments by the schema, and bare."""
    is_wrapped = list(schema.get("properties", {})) == ["input"] and not isinstance(arguments, dict)
    return [{"input": arguments}, arguments] if is_wrapped else [arguments]


daemon = Daemon()
for provider in (openai, anthropic, gemini):
    tools = daemon.asked("GET", f"/v1/tools?format={provider.__name__}")["tools"]
    assert {tool["name"] for tool in tools} == set(PLAN["calls"]), [tool["name"] for tool in tools]
    for entry in tools:
        arguments = PLAN["calls"][entry["name"]]
        is_called = arguments is not None
        arguments = arguments if is_called else {}
        assert NAME.match(entry["name"]), entry
        wrapped = {"input": arguments} if not isinstance(arguments, dict) else arguments
        schema, name, _given = provider(entry, wrapped)
        Draft202012Validator.check_schema(schema)
        Draft202012Validator(schema).validate(wrapped)
        assert schema["type"] == "object" and not COMBINATORS & set(schema), schema
        outputs = []
        for form in forms(schema, arguments) if is_called else []:
            # Their types of answers have objects alone.
            given = provider(entry, form)[2] if isinstance(form, dict) else form
            answer = daemon.asked("POST", "/v1/call", {"name": name, "arguments": given})
            assert answer["ok"], (provider.__name__, name, form, answer)
            outputs.append(answer["output"])
        assert all(output == outputs[0] for output in outputs), outputs
    print(provider.__name__, len(tools))
