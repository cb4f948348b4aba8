"""What a client of MCP does for `official.rs`, whichever official package it is of: a plan comes as the one argument, in JSON; each step
is told as a line of JSON on standard output; a line on standard input is the word to go on."""

import asyncio
import json
import sys

PLAN = json.loads(sys.argv[1])


def tell(step, **more):
    # Through UTF-8 whatever the locale says.
    line = json.dumps({"step": step, **more}, ensure_ascii=False)
    sys.stdout.buffer.write(line.encode() + b"\n")
    sys.stdout.buffer.flush()


async def word():
    """Waits for the word to go on."""
    line = await asyncio.to_thread(sys.stdin.readline)
    assert line, "the test has ended"


def plain(model):
    """A value of the package's own types as it was sent."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def act(client):
    """All steps. `client` is the package's own, behind `opened`, `tools`, `call`, `unknown`, `cancelled` and `changed`."""
    tell("opened", **client.opened())
    tools = await client.tools()
    tell("tools", tools=[plain(tool) for tool in tools])
    for name, arguments in PLAN["calls"]:
        result = plain(await client.call(name, arguments))
        structured = result.get("structuredContent")
        # Behind them stands a link to the receipt, which is of each call its own.
        texts = [block["text"] for block in result["content"] if block["type"] == "text"]
        is_same = structured is None or json.loads(texts[0]) == structured
        tell(
            "called",
            texts=texts,
            structured=structured,
            isSame=is_same,
            isError=result["isError"],
            meta=result["_meta"],
        )
    if PLAN["unknown"]:
        tell("unknown", code=await client.unknown(PLAN["unknown"]))
    if PLAN["endless"]:
        await client.cancelled(*PLAN["endless"])
        tell("cancelled")
    if PLAN["hears"]:
        names = await client.changed()
        tell("changed", names=names)
    tell("done")
