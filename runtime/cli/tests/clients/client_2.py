"""The official Python client of both eras (PyPI `mcp` 2.x)."""

import asyncio
import contextlib

import httpx2
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from steps import PLAN, act, tell, word


class Two:
    def __init__(self, client, heard):
        self.client = client
        self.heard = heard

    def opened(self):
        return {"version": self.client.protocol_version, "server": self.client.server_info.name}

    async def tools(self):
        return (await self.client.list_tools(cache_mode="refresh")).tools

    async def call(self, name, arguments):
        return await self.client.call_tool(name, arguments)

    async def unknown(self, name):
        try:
            await self.client.call_tool(name, {})
        except MCPError as error:
            return error.code

    async def cancelled(self, name, arguments):
        call = asyncio.create_task(self.client.call_tool(name, arguments))
        tell("calling")
        await word()
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        await word()

    async def changed(self):
        if self.client.protocol_version < "2026":
            tell("listening")
            await self.heard.wait()
        else:
            async with self.client.listen(tools_list_changed=True) as subscription:
                tell("listening")
                await anext(subscription)
        return [tool.name for tool in (await self.client.list_tools()).tools]


async def main():
    heard = asyncio.Event()

    async def on_message(message):
        if isinstance(message, types.ToolListChangedNotification):
            heard.set()

    async with contextlib.AsyncExitStack() as stack:
        if "url" in PLAN:
            headers = {"Authorization": f"Bearer {PLAN['token']}"}
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=60))
            server = streamable_http_client(PLAN["url"], http_client=http)
        else:
            server = stdio_client(StdioServerParameters(command=PLAN["command"], args=PLAN["args"], env=PLAN["env"]))
        client = await stack.enter_async_context(Client(server, mode=PLAN["mode"], message_handler=on_message))
        await act(Two(client, heard))


asyncio.run(main())
