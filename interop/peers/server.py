"""A server by Python's websockets, with the paths that all servers here have.
Prints its port, and then "CODE REASON" of the clients at /observe."""

import asyncio
import urllib.parse

import websockets


async def echo(socket, query):
    async for message in socket:
        await socket.send(message)


async def small(socket, query):
    socket.max_size = 1024
    await echo(socket, query)


async def close(socket, query):
    await socket.recv()
    await socket.close(int(query["code"][0]), query["reason"][0])


async def ping(socket, query):
    await (await socket.ping("are you there?"))
    await socket.send("ponged")


async def observe(socket, query):
    await socket.wait_closed()
    print(socket.close_code, socket.close_reason, flush=True)


paths = {"/echo": echo, "/small": small, "/close": close, "/ping": ping, "/observe": observe}


async def serve(socket):
    url = urllib.parse.urlsplit(socket.path)
    await paths[url.path](socket, urllib.parse.parse_qs(url.query))


def speak(offered, ours):
    return next((p for p in ours if p in offered), None)


async def main():
    server = await websockets.serve(
        serve, "127.0.0.1", 0, max_size=4 << 20, subprotocols=["v2.echo", "v1.echo"], select_subprotocol=speak)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()


asyncio.run(main())
