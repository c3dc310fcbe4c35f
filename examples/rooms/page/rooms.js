"use strict";

// One room at a time. After an interruption the page comes back by itself, with
// the position of the last message that it has, and gets what it has missed.

const $ = (id) => document.getElementById(id);
const people = new Map(); // by id: the name
const unsent = new Map(); // by request id: what was said and not yet acknowledged
let socket = null;
let room = "";
let since = null; // position of the last message
let nextID = 1;
let pause = 500; // milliseconds before the next attempt

const self = crypto.randomUUID();

function connect() {
  socket = new WebSocket(location.href.replace(/^http/, "ws").replace(/[^/]*$/, "ws"));
  socket.onopen = () => {
    request("join", { room, name: $("name").value, since });
    for (const [id, data] of unsent) socket.send(JSON.stringify({ id, type: "say", data }));
  };
  socket.onmessage = (m) => receive(JSON.parse(m.data));
  socket.onclose = () => {
    show("away: trying again", true);
    setTimeout(connect, pause * (0.5 + Math.random())); // not everybody at once
    pause = Math.min(2 * pause, 30000);
  };
}

function request(type, data) {
  socket.send(JSON.stringify({ id: nextID++, type, data }));
}

function receive(m) {
  if (m.error) return show(m.error.message || m.error.code, false);
  if (m.type === "said") return said(m);
  if (m.type === "$presence") return present(m.data);
  if (m.type === "$gap") return line("something is missing here", "gap");
  if (m.type) return;
  if (unsent.delete(m.id)) return;
  pause = 500;
  if (since && !m.data.recovered) line("something may be missing here", "gap");
  show("here", false);
}

function said(m) {
  if (since && m.pos[1] === since[1] && m.pos[0] <= since[0]) return; // seen
  since = m.pos;
  const li = line(m.data.text);
  const name = document.createElement("b");
  name.textContent = m.data.name;
  li.prepend(name);
}

function line(text, cls = "") {
  const li = document.createElement("li");
  li.className = cls;
  li.textContent = text;
  $("said").append(li);
  li.scrollIntoView();
  return li;
}

function present(d) {
  if (d.members) people.clear();
  for (const p of [...(d.members || []), ...(d.joined || [])]) people.set(p.id, p.meta.name);
  for (const id of d.left || []) people.delete(id);
  $("people").replaceChildren(...[...people.values()].sort().map((name) => {
    const li = document.createElement("li");
    li.textContent = name;
    return li;
  }));
}

function show(text, away) {
  $("state").textContent = text;
  $("text").disabled = away;
}

$("who").onsubmit = (e) => {
  e.preventDefault();
  if (room) return location.reload();
  room = $("room").value;
  connect();
};

$("say").onsubmit = (e) => {
  e.preventDefault();
  const id = nextID++;
  const data = { room, text: $("text").value, id: `${self}-${id}` };
  unsent.set(id, data);
  $("text").value = "";
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ id, type: "say", data }));
};
