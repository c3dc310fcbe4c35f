// Drives the client's rooms against the server of TestRooms, whose URL is the first argument.
import assert from "node:assert/strict";
import { Client, RequestError } from "./client.js";

const [url] = process.argv.slice(2);
const errors = [];
const client = (name) => new Client(`${url}?name=${name}`, { minDelay: 1, maxDelay: 5, onerror: (e) => errors.push(e) });
const code = (code) => (e) => e instanceof RequestError && e.code === code;
const until = async (what, f) => {
  for (const end = Date.now() + 10_000; !f(); await new Promise((r) => setTimeout(r, 1))) assert.ok(Date.now() < end, `until ${what}`);
};
// What a room says, in its order.
const follow = (room) => {
  const log = [];
  room.on("said", ({ by, text }) => log.push(`${by}: ${text}`));
  room.onlost((n) => log.push(`lost ${n}`));
  return log;
};
const ids = (members) => members.map((m) => m.id).sort();

// Who has joined hears what is said, and says things itself.
const ada = client("ada");
const lobby = ada.join("lobby", { meta: { colour: "red" } });
const heard = follow(lobby);
assert.equal(lobby.live, false);
assert.equal(ada.join("lobby"), lobby);
const early = lobby.publish("said", { text: "early" }); // waits until the room has been joined
await lobby.joined;
assert.equal(lobby.live, true);
assert.deepEqual((await early)[0], 1);
assert.deepEqual(heard, ["ada: early"]);
const places = [];
ada.on("said", ({ text }, place) => places.push([text, place.room, place.pos]));
const pos = await lobby.publish("said", { text: "hello" });
assert.deepEqual(places, [["hello", "lobby", pos]]);
assert.deepEqual(lobby.position, pos);

// Presence: a snapshot, and then changes.
await until("ada is there", () => lobby.members.length === 1);
assert.deepEqual(lobby.members, [{ id: "ada", principal: "ada", meta: { colour: "red" } }]);
const changes = [];
lobby.onpresence((members, { joined, left }) => changes.push([ids(members), ids(joined), ids(left)]));
const bob = client("bob");
const bobs = bob.join("lobby", { recent: 1 });
const bobHeard = follow(bobs);
await bobs.joined;
assert.deepEqual(bobHeard, ["ada: hello"]);
await until("bob is seen", () => changes.length === 1);
assert.deepEqual(changes.pop(), [["ada", "bob"], ["bob"], []]);

// Not everybody may do everything.
await assert.rejects(ada.join("secret").joined, code("forbidden"));
await assert.rejects(ada.join("bad\nname").joined, code("invalid"));
const board = ada.join("board");
await assert.rejects(board.publish("said", { text: "x" }), code("forbidden"));
await assert.rejects(lobby.publish("said", { text: "" }), code("invalid"));
await assert.rejects(lobby.publish("shouted", { text: "" }), code("unknown_type"));
await ada.join("busy").joined; // is unavailable at first

// After an interruption comes what was missed, once; without a history there is no telling.
const boardLog = follow(board);
heard.length = 0;
await assert.rejects(ada.call("away", { room: "lobby", texts: ["1", "2", "3"] }), code("unavailable"));
assert.equal(lobby.live, false);
const offline = [lobby.publish("said", { text: "4" }), lobby.publish("said", { text: "5" })]; // while there is no connection
await Promise.all(offline);
assert.deepEqual(heard, ["server: 1", "server: 2", "server: 3", "ada: 4", "ada: 5"]);
await until("board has noticed", () => boardLog.length > 0);
assert.deepEqual(boardLog, ["lost 0"]);
assert.equal(await ada.call("duplicate", "lobby"), undefined); // the server sends "5" again
await lobby.publish("said", { text: "6" });
assert.deepEqual(heard.slice(5), ["ada: 6"]);
await until("bob is still there", () => lobby.members.length === 2);

// More than the history keeps.
heard.length = 0;
await assert.rejects(ada.call("away", { room: "lobby", texts: Array.from({ length: 20 }, (_, i) => `${i}`) }), code("unavailable"));
await lobby.publish("said", { text: "back" });
assert.deepEqual(heard, ["lost 0", "ada: back"]);

// A message that was published, or was not, when the connection ended is published once.
heard.length = 0;
for (const text of ["cut before", "cut after", "unavailable", "last"]) {
  const pos = await lobby.publish("said", { text });
  assert.deepEqual(pos, lobby.position, text);
}
assert.deepEqual(heard, ["ada: cut before", "ada: cut after", "ada: unavailable", "ada: last"]);

// Leaving, and joining again at once.
bobs.leave();
await assert.rejects(bobs.publish("said", { text: "x" }), code("canceled"));
const again = bob.join("lobby", { recent: 2 });
assert.notEqual(again, bobs);
const againHeard = follow(again);
await again.joined;
assert.deepEqual(againHeard, ["ada: unavailable", "ada: last"]);
assert.equal(bobHeard.at(-1), "ada: last");

// A position from an earlier life.
const at = again.position;
bob.close();
await lobby.publish("said", { text: "while bob was away" });
await until("bob is gone", () => ids(lobby.members).join() === "ada");
const bob2 = client("bob");
const later = bob2.join("lobby", { since: at });
const laterHeard = follow(later);
await later.joined;
assert.deepEqual(laterHeard, ["ada: while bob was away"]);

// The end.
bob2.close();
await assert.rejects(later.publish("said", { text: "x" }), code("unavailable"));
await assert.rejects(bob2.join("lobby").joined, code("unavailable"));
assert.deepEqual(errors, []);
ada.close();
console.log("behaves");
