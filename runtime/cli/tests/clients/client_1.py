"""The official Python client of the first era (PyPI `mcp` 1.x)."""

import asyncio
import contextlib

from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp import types

from steps import PLAN, act, tell, word


class One:
    def __init__(self, session, initialized, heard):
        self.session = session
        self.initialized = initialized
        self.heard = heard

    def opened(self):
        return {"version": self.initialized.protocolVersion, "server": self.initialized.serverInfo.name}

    async def tools(self):
        return (await self.session.list_tools()).tools

    async def call(self, name, arguments):
        return await self.session.call_tool(name, arguments)

    async def unknown(self, name):
        try:
            await self.session.call_tool(name, {})
        except McpError as error:
            return error.error.code

    async def cancelled(self, name, arguments):
        # This package has no way to take a call back but to say so to the server.
        request_id = self.session._request_id
        call = asyncio.create_task(self.session.call_tool(name, arguments))
        tell("calling")
        await word()
        params = types.CancelledNotificationParams(requestId=request_id, reason="the user went away")
        await self.session.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))
        # Nothing may follow; so nobody ends this wait but we.
        await word()
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError, McpError):
            await call

    async def changed(self):
        tell("listening")
        await self.heard.wait()
        return [tool.name for tool in await self.tools()]


@contextlib.asynccontextmanager
async def streams():
    if "url" in PLAN:
        async with create_mcp_http_client(headers={"Authorization": f"Bearer {PLAN['token']}"}) as http:
            async with streamable_http_client(PLAN["url"], http_client=http) as (read, write, _session):
                yield read, write
    else:
        server = StdioServerParameters(command=PLAN["command"], args=PLAN["args"], env=PLAN["env"])
        async with stdio_client(server) as both:
            yield both


async def main():
    heard = asyncio.Event()

    async def on_message(message):
        if isinstance(message, types.ServerNotification) and isinstance(message.root, types.ToolListChangedNotification):
            heard.set()

    async with streams() as (read, write), ClientSession(read, write, message_handler=on_message) as session:
        await act(One(session, await session.initialize(), heard))


asyncio.run(main())
