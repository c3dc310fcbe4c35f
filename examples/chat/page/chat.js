// The room's page: one connection, kept up for as long as the page is open.

const $ = (id) => document.getElementById(id);
const room = location.pathname.split("/")[2];
const list = $("messages"), composer = $("say"), status = $("status");

let socket = null;  // while connected
let me = "";        // as the server knows us
let attempts = 0;   // since we were last connected
let retry = 0;      // the timer of the next one
let unread = 0;     // while the page is hidden
let atEnd = true;   // the newest message is in view
const people = new Set();

// ---- the connection

function connect() {
  clearTimeout(retry);
  retry = 0;
  const url = new URL(`/room/${room}/ws`, location);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("name", sessionStorage.name);
  const s = new WebSocket(url);
  s.onmessage = (m) => {
    socket = s;
    const e = JSON.parse(m.data);
    on[e.type](e);
  };
  s.onclose = (e) => {
    socket = null;
    reconnect(e.reason);
  };
}

// Wait longer after each failure, and everybody for another time: a server that
// comes back should not meet all its visitors at once.
function reconnect(reason) {
  const wait = Math.min(30, 0.5 * 2 ** attempts++) * (0.5 + Math.random() / 2);
  const due = Date.now() + wait * 1000;
  const tick = () => {
    const left = due - Date.now();
    if (left <= 0) return connect();
    show(`${reason || "Connection lost"}. Again in ${Math.ceil(left / 1000)} s`);
    retry = setTimeout(tick, Math.min(left, 1000));
  };
  tick();
}

addEventListener("online", () => retry && connect());

function show(text) {
  status.textContent = text;
  status.classList.toggle("on", socket !== null);
  composer.lastElementChild.disabled = socket === null;
}

// ---- what the server says

const on = {
  welcome(e) {
    attempts = 0;
    me = e.name;
    people.clear();
    e.people.forEach((name) => people.add(name));
    list.replaceChildren();
    (e.history ?? []).forEach((m) => append(messageItem(m)));
    if (!e.history) append(item("empty", "Nothing has been said here yet."));
    toEnd();
    showPeople();
    show("Connected");
  },
  joined(e) {
    people.add(e.name);
    showPeople();
    append(item("note", `${e.name} is here`));
  },
  left(e) {
    people.delete(e.name);
    showPeople();
    append(item("note", `${e.name} has left`));
  },
  message(e) {
    list.querySelector(".empty")?.remove();
    const li = messageItem(e);
    li.classList.add("fresh");
    append(li);
    if (e.name === me) toEnd();
    if (document.hidden) document.title = `(${++unread}) #${room}`;
  },
};

// ---- what it looks like

function item(kind, text) {
  const li = document.createElement("li");
  li.className = kind;
  li.textContent = text;
  return li;
}

function messageItem(e) {
  const li = $("message").content.firstElementChild.cloneNode(true);
  const at = new Date(e.at);
  const last = list.lastElementChild;
  li.dataset.name = e.name;
  li.dataset.at = at.getTime();
  li.classList.toggle("mine", e.name === me);
  li.classList.toggle("more", last?.dataset.name === e.name && at - last.dataset.at < 180_000);
  li.style.setProperty("--hue", hue(e.name));
  li.querySelector(".avatar").textContent = initials(e.name);
  li.querySelector("b").textContent = e.name;
  li.querySelector(".text").textContent = e.text;
  const time = li.querySelector("time");
  time.dateTime = e.at;
  time.textContent = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return li;
}

// The newest stays in view, unless somebody is reading further up.
function append(li) {
  list.append(li);
  if (atEnd) toEnd();
  else $("newest").hidden = false;
}

function toEnd() {
  list.scrollTop = list.scrollHeight;
}

function showPeople() {
  $("count").textContent = `· ${people.size}`;
  $("people").replaceChildren(...[...people].sort((a, b) => a.localeCompare(b)).map((name) => {
    const li = item(name === me ? "you" : "", name);
    const avatar = document.createElement("span");
    avatar.className = "avatar";
    avatar.textContent = initials(name);
    li.style.setProperty("--hue", hue(name));
    li.prepend(avatar);
    return li;
  }));
}

const hue = (name) => [...name].reduce((h, c) => (h * 31 + c.codePointAt(0)) % 360, 7);
const initials = (name) => name.split(/\s+/).slice(0, 2).map((word) => [...word][0]).join("").toUpperCase();

// ---- what the visitor does

composer.onsubmit = (e) => {
  e.preventDefault();
  const text = composer.text.value.trim();
  if (!text || !socket) return;
  socket.send(text);
  composer.reset();
};
composer.text.onkeydown = (e) => {
  if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
    e.preventDefault();
    composer.requestSubmit();
  }
};
list.onscroll = () => {
  atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  if (atEnd) $("newest").hidden = true;
};
new ResizeObserver(() => atEnd && toEnd()).observe(list);
$("newest").onclick = toEnd;
$("open").onsubmit = (e) => {
  e.preventDefault();
  location = "/room/" + e.target.room.value.trim().toLowerCase().replaceAll(" ", "-");
};
$("theme").onclick = () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  setTheme(now === "dark" ? "light" : "dark");
};
document.onvisibilitychange = () => {
  unread = 0;
  document.title = `#${room}`;
};

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = localStorage.theme = theme;
}

// ---- begin

setTheme(localStorage.theme);
document.title = `#${room}`;
$("room").textContent = room;
composer.text.placeholder = `Say something in #${room}`;
$("rooms").append(...new Set(["lobby", "gophers", "random", room]).values().map((name) => {
  const a = document.createElement("a");
  a.href = `/room/${name}`;
  a.textContent = name;
  if (name === room) a.ariaCurrent = "page";
  const li = document.createElement("li");
  li.append(a);
  return li;
}));

// Each tab has a name of its own; a new one is offered the last that was used.
sessionStorage.name = new URLSearchParams(location.search).get("name") ?? sessionStorage.name ?? "";
if (sessionStorage.name) {
  connect();
} else {
  const dialog = $("welcome"), form = dialog.querySelector("form");
  form.elements.name.value = localStorage.name ?? "";
  dialog.oncancel = (e) => e.preventDefault();
  dialog.onclose = () => {
    sessionStorage.name = localStorage.name = form.elements.name.value.trim();
    connect();
  };
  dialog.showModal();
}
