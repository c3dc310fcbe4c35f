// Chromium as a client: client-browser.mjs SERVER ORIGIN CHROMIUM. Prints a line for
// each thing that it has tried: "ok NAME" or "failed NAME: WHY".
import { open } from "./browser.mjs";

const [server, origin, executable] = process.argv.slice(2);

// This runs in the page.
async function run(server) {
  const equal = (got, want) => {
    if (got !== want) throw new Error(`got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
  };
  const once = (socket, type) => new Promise((resolve, reject) => {
    socket.addEventListener(type, resolve, { once: true });
    if (type !== "close") socket.addEventListener("close", (e) => reject(new Error(`closed with ${e.code} ${e.reason}`)), { once: true });
  });
  const connect = async (path, protocols = []) => {
    const socket = new WebSocket(server + path, protocols);
    socket.binaryType = "arraybuffer";
    await once(socket, "open");
    return socket;
  };
  const closed = async (socket, code, reason) => {
    const e = await once(socket, "close");
    equal(e.code, code);
    equal(e.reason, reason);
    equal(e.wasClean, true);
  };
  const tests = {
    async echo() {
      const socket = await connect("/echo");
      for (const n of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
        const text = "ä世🙂x".repeat(n).slice(0, n).toWellFormed();
        socket.send(text);
        equal((await once(socket, "message")).data === text, true);
        const bytes = new Uint8Array(n).map((_, i) => i * i);
        socket.send(bytes);
        const got = new Uint8Array((await once(socket, "message")).data);
        equal(got.length, n);
        equal(got.every((b, i) => b === bytes[i]), true);
      }
      socket.close();
      await closed(socket, 1005, "");
    },
    async many() {
      const socket = await connect("/echo"), count = 1000, got = [];
      const all = new Promise((resolve) => {
        socket.onmessage = (m) => got.push(m.data) === count && resolve();
      });
      for (let i = 0; i < count; i++) socket.send(`message ${i}`);
      await all;
      got.forEach((m, i) => equal(m, `message ${i}`));
      socket.close(1000);
      await closed(socket, 1000, "");
    },
    async compression() {
      const socket = await connect("/echo");
      equal(socket.extensions.includes("permessage-deflate"), true);
      socket.close();
    },
    async subprotocol() {
      const socket = await connect("/echo", ["v0.echo", "v1.echo", "v2.echo"]);
      equal(socket.protocol, "v2.echo");
      socket.close();
    },
    async pinged() {
      const socket = await connect("/ping");
      equal((await once(socket, "message")).data, "ponged");
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
  };
  const results = [];
  for (const [name, test] of Object.entries(tests)) {
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error("it takes too long")), 30_000));
    try {
      await Promise.race([test(), late]);
      results.push("ok " + name);
    } catch (e) {
      results.push(`failed ${name}: ${e.message}`);
    }
  }
  return results;
}

// A page on another origin: the same server by another name.
const refused = (server) => new Promise((resolve) => {
  const socket = new WebSocket(server + "/echo");
  socket.onopen = () => resolve("failed otherOrigin: it was let in");
  socket.onclose = () => resolve("ok otherOrigin");
});

const browser = await open(executable);
try {
  const page = await browser.newPage();
  await page.goto(origin + "/page");
  for (const line of await page.evaluate(run, server)) console.log(line);
  await page.goto(origin.replace("127.0.0.1", "localhost") + "/page");
  console.log(await page.evaluate(refused, server));
} finally {
  await browser.close();
}
