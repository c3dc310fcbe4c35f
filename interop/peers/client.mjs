// A client by the npm package ws: client.mjs SERVER ORIGIN. Prints a line for each
// thing that it has tried: "ok NAME" or "failed NAME: WHY".
import WebSocket from "ws";
import { strictEqual as equal, ok } from "node:assert";
import { randomBytes } from "node:crypto";
import { once } from "node:events";

const [server, origin] = process.argv.slice(2);

async function connect(path, protocols = []) {
  const socket = new WebSocket(server + path, protocols, { origin, maxPayload: 4 << 20 });
  await once(socket, "open");
  return socket;
}

// next returns the next message as it came: a string if it is text.
async function next(socket) {
  const [data, binary] = await once(socket, "message");
  return binary ? data : data.toString();
}

async function closed(socket, code, reason) {
  const [gotCode, gotReason] = await once(socket, "close");
  equal(gotCode, code);
  equal(gotReason.toString(), reason);
}

const tests = {
  async echo() {
    const socket = await connect("/echo");
    for (const n of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
      for (const data of ["ä世🙂x".repeat(n).slice(0, n), randomBytes(n)]) {
        socket.send(data);
        const got = await next(socket);
        equal(typeof got, typeof data);
        ok(Buffer.from(got).equals(Buffer.from(data)), `${n} bytes came back as ${got.length}`);
      }
    }
    socket.close();
    await closed(socket, 1005, "");
  },
  async many() {
    const socket = await connect("/echo"), count = 1000, got = [];
    socket.on("message", (m) => got.push(m.toString()));
    for (let i = 0; i < count; i++) socket.send(`message ${i}`);
    while (got.length < count) await once(socket, "message");
    got.forEach((m, i) => equal(m, `message ${i}`));
    socket.close(1000);
    await closed(socket, 1000, "");
  },
  async fragments() {
    const socket = await connect("/echo");
    socket.send("one, ", { fin: false });
    socket.ping("between");
    socket.send("two, ", { fin: false });
    socket.send("three", { fin: true });
    equal(await next(socket), "one, two, three");
    socket.terminate();
  },
  async compression() {
    const socket = await connect("/echo");
    ok(socket.extensions.includes("permessage-deflate"), `extensions: ${socket.extensions}`);
    socket.terminate();
  },
  async subprotocol() {
    const socket = await connect("/echo", ["v0.echo", "v1.echo", "v2.echo"]);
    equal(socket.protocol, "v2.echo");
    socket.terminate();
  },
  async ping() {
    const socket = await connect("/echo");
    socket.ping("are you there?");
    equal((await once(socket, "pong"))[0].toString(), "are you there?");
    socket.terminate();
  },
  async pinged() {
    const socket = await connect("/ping");
    equal(await next(socket), "ponged");
    await closed(socket, 1000, "");
  },
  async closes() {
    const socket = await connect("/observe");
    socket.close(4001, "tschüß");
    await closed(socket, 4001, "");
  },
  async closed() {
    const socket = await connect("/close?code=4002&reason=" + encodeURIComponent("das war’s"));
    socket.send("close");
    await closed(socket, 4002, "das war’s");
  },
  async tooBig() {
    const socket = await connect("/small");
    socket.send("x".repeat(2000));
    await closed(socket, 1009, "");
  },
  async invalidText() {
    const socket = await connect("/echo");
    socket.send(Buffer.from([0x61, 0xff]), { binary: false });
    await closed(socket, 1007, "");
  },
  async otherOrigin() {
    const socket = new WebSocket(server + "/echo", { origin: "https://evil.example" });
    socket.on("error", () => {});
    const [, response] = await once(socket, "unexpected-response");
    equal(response.statusCode, 403);
  },
};

for (const [name, test] of Object.entries(tests)) {
  const late = setTimeout(() => { console.log(`failed ${name}: it takes too long`); process.exit(1); }, 30_000);
  try {
    await test();
    console.log("ok " + name);
  } catch (e) {
    console.log(`failed ${name}: ${e.message.replaceAll("\n", " ")}`);
  }
  clearTimeout(late);
}
process.exit(0);
