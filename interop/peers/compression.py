"""Python's websockets, compressing: each line of standard input is one server or client
that echoes. {serverTakeover, clientTakeover, bits} is a server, whose port is
printed, and with a url it's a client. bits limits both windows, 0 doesn't."""

import asyncio
import json
import sys

import websockets
from websockets.extensions import permessage_deflate as deflate


async def echo(socket, path=None):
    async for message in socket:
        await socket.send(message)


def options(factory, settings, client_bits):
    bits = settings["bits"] or None
    return {"compression": None, "max_size": None, "extensions": [factory(
        server_no_context_takeover=not settings["serverTakeover"],
        client_no_context_takeover=not settings["clientTakeover"],
        server_max_window_bits=bits, client_max_window_bits=bits or client_bits)]}


async def dial(url, settings):
    async with websockets.connect(url, **options(deflate.ClientPerMessageDeflateFactory, settings, True)) as socket:
        await echo(socket)


async def main():
    loop, running = asyncio.get_running_loop(), []
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        settings = json.loads(line)
        if "url" in settings:
            running.append(asyncio.create_task(dial(settings["url"], settings)))
            continue
        server = await websockets.serve(
            echo, "127.0.0.1", 0, **options(deflate.ServerPerMessageDeflateFactory, settings, None))
        running.append(server)
        print(server.sockets[0].getsockname()[1], flush=True)


asyncio.run(main())
