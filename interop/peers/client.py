"""A client by Python's websockets: client.py SERVER ORIGIN. Prints a line for each
thing that it has tried: "ok NAME" or "failed NAME: WHY"."""

import asyncio
import os
import ssl
import sys
import urllib.parse

import websockets

server, origin = sys.argv[1:]
tls = ssl.create_default_context() if server.startswith("wss:") else None


def connect(path, **options):
    return websockets.connect(server + path, ssl=tls, origin=origin, max_size=4 << 20, **options)


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


async def closed(socket, code, reason):
    await asyncio.wait_for(socket.wait_closed(), 20)
    equal((socket.close_code, socket.close_reason), (code, reason))


async def echo():
    async with connect("/echo") as socket:
        for n in 0, 1, 125, 126, 65535, 65536, 1 << 20:
            for data in ("ä世🙂x" * n)[:n], os.urandom(n):
                await socket.send(data)
                got = await socket.recv()
                assert got == data, f"{n} came back as {len(got)}"
    await closed(socket, 1000, "")


async def many():
    async with connect("/echo") as socket:
        async def send():
            for i in range(1000):
                await socket.send(f"message {i}")
        sending = asyncio.create_task(send())
        for i in range(1000):
            equal(await socket.recv(), f"message {i}")
        await sending


async def fragments():
    async with connect("/echo") as socket:
        await socket.send(["one, ", "two, ", "three"])
        equal(await socket.recv(), "one, two, three")


async def compression():
    async with connect("/echo") as socket:
        equal([e.name for e in socket.extensions], ["permessage-deflate"])


async def subprotocol():
    async with connect("/echo", subprotocols=["v0.echo", "v1.echo", "v2.echo"]) as socket:
        equal(socket.subprotocol, "v2.echo")


async def ping():
    async with connect("/echo") as socket:
        await (await socket.ping("are you there?"))


async def pinged():
    async with connect("/ping") as socket:
        equal(await socket.recv(), "ponged")
        await closed(socket, 1000, "")


async def closes():
    socket = await connect("/observe")
    await socket.close(4001, "tschüß")
    await closed(socket, 4001, "")


async def closed_by_server():
    socket = await connect("/close?code=4002&reason=" + urllib.parse.quote("das war’s"))
    await socket.send("close")
    await closed(socket, 4002, "das war’s")


async def too_big():
    socket = await connect("/small")
    await socket.send("x" * 2000)
    await closed(socket, 1009, "")


async def other_origin():
    try:
        await websockets.connect(server + "/echo", ssl=tls, origin="https://evil.example")
    except websockets.InvalidStatusCode as e:
        equal(e.status_code, 403)
    else:
        raise AssertionError("it was let in")


tests = {
    "echo": echo, "many": many, "fragments": fragments, "compression": compression,
    "subprotocol": subprotocol, "ping": ping, "pinged": pinged, "closes": closes,
    "closed": closed_by_server, "tooBig": too_big, "otherOrigin": other_origin,
}


async def main():
    for name, test in tests.items():
        try:
            await asyncio.wait_for(test(), 30)
            print("ok", name, flush=True)
        except Exception as e:
            print(f"failed {name}: {type(e).__name__} {e}".replace("\n", " "), flush=True)


asyncio.run(main())
