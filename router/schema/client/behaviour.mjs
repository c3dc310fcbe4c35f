// Drives the client against the server of TestClientBehaviour, whose URL is the first argument.
import assert from "node:assert/strict";
import { Client, RequestError } from "./client.js";

const [url] = process.argv.slice(2);
const states = [];
const errors = [];
const client = new Client(url, { minDelay: 5, maxDelay: 20, maxBuffered: 50, onstate: (s) => states.push(s), onerror: (e) => errors.push(e) });
const code = (code) => (e) => e instanceof RequestError && e.code === code;

// Calls wait for the connection; errors come back with all that the server said.
assert.equal(client.state, "connecting");
assert.equal(client.send("typing", "too early"), false);
assert.deepEqual(await client.call("echo", { a: [1, null, "é"] }), { a: [1, null, "é"] });
assert.deepEqual(await Promise.all([3, 1, 2].map((n) => client.call("echo", n))), [3, 1, 2]);
await assert.rejects(client.call("fail", null), (e) => code("conflict")(e) && e.message === "no" && e.details === 7 && e.retryMs === 1500);
await assert.rejects(client.call("nope", null), code("unknown_type"));

// Time limits and signals give a request up, here and there.
await assert.rejects(client.call("wait", null, { timeout: 20 }), code("timeout"));
await assert.rejects(client.call("wait", null, { signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
await assert.rejects(client.call("wait", null, { signal: AbortSignal.abort("no more") }), (e) => e === "no more");

// Streams end by themselves, are left, are aborted, fail, and fall behind.
const items = [];
for await (const n of client.stream("count", 3)) items.push(n);
assert.deepEqual(items, [0, 1, 2]);
for await (const n of client.stream("ticks", null)) if (n === 2) break;
const stop = new AbortController();
await assert.rejects(async () => {
  for await (const n of client.stream("ticks", null, { signal: stop.signal })) if (n === 2) stop.abort(new Error("enough"));
}, { message: "enough" });
await assert.rejects(async () => { for await (const n of client.stream("count", -1)) assert.fail(n); }, code("invalid"));
await assert.rejects(async () => {
  for await (const n of client.stream("count", 1000)) await new Promise((r) => setTimeout(r, n === 0 ? 200 : 0));
}, code("unavailable"));
assert.equal(await client.call("open", null), 0, "streams and calls that were given up are over on the server");

// The server's events and requests.
const heard = [];
const off = client.on("typing", (name) => heard.push(name));
client.on("typing", () => { throw new Error("as listeners do"); });
client.on("typing", async () => { throw new Error("later"); });
client.answer("name", () => "ada");
client.answer("fail", () => { throw new RequestError("conflict", "mine"); });
client.answer("bug", () => { throw new Error("secret"); });
client.answer("wait", (_, signal) => new Promise((resolve) => signal.addEventListener("abort", resolve)));
assert.equal(client.send("typing", "bob"), true);
assert.equal(await client.call("ask", "name"), "ada");
assert.deepEqual(heard, ["bob"]);
assert.deepEqual(errors.splice(0).map((e) => e.message), ["as listeners do", "later"]);
assert.equal(await client.call("ask", "fail"), "router: conflict: mine");
assert.equal(await client.call("ask", "bug"), "router: internal");
assert.equal(errors.pop().message, "secret");
assert.equal(await client.call("ask", "nobody"), "router: unknown_type: unknown type nobody");
assert.equal(await client.call("ask", "wait"), "router: call: context deadline exceeded");
off();
client.send("typing", "eve");
await client.call("echo", 1);
assert.deepEqual(heard, ["bob"]);

// A connection that breaks fails what was under way, and is made again.
const lost = client.call("wait", null);
await assert.rejects(client.call("drop", null), code("unavailable"));
await assert.rejects(lost, code("unavailable"));
assert.equal(client.state, "connecting");
assert.equal(await client.call("echo", "again"), "again");
assert.deepEqual(states, ["open", "connecting", "open"]);

// Waits grow, by chance, also while connections are made but do not last.
class Fleeting {
  constructor() {
    setTimeout(() => { this.onopen(); this.onclose({ code: 1006, reason: "" }); });
  }
}
const waits = [];
const setTimer = globalThis.setTimeout;
globalThis.setTimeout = (f, ms) => {
  if (ms > 0) waits.push(ms);
  return setTimer(f, 0);
};
const restless = new Client(url, { WebSocket: Fleeting, minDelay: 100, maxDelay: 3000 });
while (waits.length < 40) await new Promise((r) => setTimer(r, 1));
restless.close();
globalThis.setTimeout = setTimer;
waits.forEach((ms, i) => assert(ms >= 100 && ms <= Math.min(3000, 200 * 2 ** (i + 1)), `wait ${i}: ${ms}`));
assert(waits.some((ms) => ms > 1000), "the waits do not grow");
assert.equal(new Set(waits).size, waits.length, "waits are not by chance");

// A server that refuses is left alone, and so is a client that was closed.
await assert.rejects(client.call("refuse", null), code("unavailable"));
assert.equal(client.state, "closed");
await assert.rejects(client.call("echo", 1), code("unavailable"));
const other = new Client(url);
const early = other.call("echo", 1);
other.close();
await assert.rejects(early, code("unavailable"));
assert.equal(other.state, "closed");
console.log("behaves");
