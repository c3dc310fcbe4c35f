// The page: one connection for all rooms, kept up for as long as the page is open.
// What it takes to stay in the rooms, and to miss nothing, is in the generated client.
import { Client } from "./client.js"; // its types are in client.ts

const $ = (id) => document.getElementById(id);
const composer = $("say"), status = $("status");
const recent = 50;      // messages that a room shows at first
const typingFor = 3000; // milliseconds that somebody is shown as writing

const views = new Map(); // of rooms, by name
let client, me, current;

// ---- a room

class View {
  constructor(name) {
    this.name = name;
    this.list = document.createElement("ol");
    this.list.className = "messages";
    this.list.setAttribute("aria-live", "polite");
    this.list.hidden = true;
    this.list.onscroll = () => {
      if (this.list.hidden) return;
      this.atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
      if (this.atEnd) $("newest").hidden = true;
    };
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(this.list);
    $("conversations").append(this.list);
    this.link = document.createElement("a");
    this.link.href = `/room/${name}`;
    this.link.textContent = name;
    this.link.onclick = (e) => {
      if (e.ctrlKey || e.metaKey || e.shiftKey) return;
      e.preventDefault();
      show(name);
    };
    const li = document.createElement("li");
    li.append(this.link);
    $("rooms").append(li);
    this.atEnd = true;    // the newest message is in view
    this.unread = 0;      // while another room is shown, or another page
    this.typing = new Map(); // until when, by name
    this.unsent = [];     // messages of ours that are not acknowledged
  }

  join() {
    this.room = client.join(this.name, { recent });
    this.room.on("said", (m) => this.said(m));
    this.room.onpresence((members, { joined, left }) => this.seen(members, joined, left));
    this.room.onlost(() => this.append(item("note", "Some messages are missing here")));
    this.room.joined.then(() => {
      if (!this.list.hasChildNodes()) this.append(item("empty", "Nothing has been said here yet."));
    }, (e) => this.append(item("note", e.message)));
    this.beside = client.join(`typing:${this.name}`);
    this.beside.on("typing", ({ name }) => name !== me && this.writes(name));
  }

  said(m) {
    this.list.querySelector(".empty")?.remove();
    const mine = m.name === me;
    const at = mine ? this.unsent.findIndex((u) => u.text === m.text) : -1;
    if (at >= 0) this.unsent.splice(at, 1)[0].item.remove();
    const li = messageItem(m, this.list, this.unsent[0]?.item);
    li.classList.toggle("fresh", this.room.live && at < 0);
    this.typing.delete(m.name);
    this.showTyping();
    this.append(li);
    if (mine) this.toEnd();
    else if (this.room.live && (this !== current || document.hidden)) this.unread++;
    title();
  }

  // say shows the message at once, and marks it until the server has acknowledged it.
  async say(text) {
    this.list.querySelector(".empty")?.remove();
    const li = messageItem({ name: me, text, at: new Date().toISOString() }, this.list);
    const entry = { text, item: li };
    li.classList.add("unsent", "fresh");
    this.unsent.push(entry);
    this.told = 0; // the others see nobody writing any more
    this.append(li);
    this.toEnd();
    try {
      await this.room.publish("said", { text }, { timeout: 100_000 });
    } catch (e) {
      this.unsent = this.unsent.filter((u) => u !== entry);
      li.classList.replace("unsent", "failed");
      li.querySelector(".text").title = e.message;
    }
  }

  // writing tells the others so, now and then.
  writing() {
    if (this.beside.live && !(Date.now() - this.told < typingFor / 2)) {
      this.told = Date.now();
      this.beside.publish("typing", {}).catch(() => {}); // nobody minds
    }
  }

  writes(name) {
    this.typing.set(name, Date.now() + typingFor);
    this.showTyping();
    setTimeout(() => this.showTyping(), typingFor + 50);
  }

  showTyping() {
    for (const [name, until] of this.typing) if (until < Date.now()) this.typing.delete(name);
    if (this !== current) return;
    const names = [...this.typing.keys()];
    $("typing").textContent = names.length > 3 ? "Several people are writing" : names.length > 0 ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} writing` : "";
  }

  seen(members, joined, left) {
    if (members.length > joined.length) for (const { id } of joined) this.append(item("note", `${id} is here`));
    for (const { id } of left) this.append(item("note", `${id} has left`));
    if (this === current) this.showPeople();
  }

  showPeople() {
    const names = this.room.members.map((m) => m.id).sort((a, b) => a.localeCompare(b));
    $("count").textContent = `· ${names.length}`;
    $("people").replaceChildren(...names.map((name) => {
      const li = item(name === me ? "you" : "", name);
      const avatar = document.createElement("span");
      avatar.className = "avatar";
      avatar.textContent = initials(name);
      li.style.setProperty("--hue", hue(name));
      li.prepend(avatar);
      return li;
    }));
  }

  // The newest stays in view, unless somebody is reading further up; what is not sent yet stays below.
  append(li) {
    this.list.insertBefore(li, li.classList.contains("unsent") ? null : this.unsent[0]?.item ?? null);
    if (this.atEnd) this.toEnd();
    else if (this === current) $("newest").hidden = false;
  }

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}

// ---- what it looks like

function item(kind, text) {
  const li = document.createElement("li");
  li.className = kind;
  li.textContent = text;
  return li;
}

function messageItem({ name, text, at }, list, before) {
  const li = $("message").content.firstElementChild.cloneNode(true);
  const last = before ? before.previousElementSibling : list.lastElementChild;
  const when = new Date(at);
  li.dataset.name = name;
  li.dataset.at = when.getTime();
  li.classList.toggle("mine", name === me);
  li.classList.toggle("more", last?.dataset.name === name && when - last.dataset.at < 180_000);
  li.style.setProperty("--hue", hue(name));
  li.querySelector(".avatar").textContent = initials(name);
  li.querySelector("b").textContent = name;
  li.querySelector(".text").textContent = text;
  const time = li.querySelector("time");
  time.dateTime = at;
  time.textContent = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return li;
}

const hue = (name) => [...name].reduce((h, c) => (h * 31 + c.codePointAt(0)) % 360, 7);
const initials = (name) => name.split(/\s+/).slice(0, 2).map((word) => [...word][0]).join("").toUpperCase();

function open(name) {
  let view = views.get(name);
  if (!view) {
    view = new View(name);
    views.set(name, view);
    view.join();
  }
  return view;
}

function show(name, push = true) {
  if (current) {
    current.list.hidden = true;
    current.link.ariaCurrent = null;
  }
  current = open(name);
  current.list.hidden = false;
  current.link.ariaCurrent = "page";
  current.unread = 0;
  if (current.atEnd) current.toEnd();
  $("newest").hidden = current.atEnd;
  $("room").textContent = name;
  composer.text.placeholder = `Say something in #${name}`;
  composer.text.focus();
  current.showPeople();
  current.showTyping();
  title();
  if (push) history.pushState(null, "", `/room/${name}`);
}

function title() {
  let unread = 0;
  for (const view of views.values()) {
    view.link.dataset.unread = view.unread || "";
    unread += view.unread;
  }
  document.title = `${unread ? `(${unread}) ` : ""}#${current?.name ?? ""}`;
}

function showState(state) {
  status.textContent = { open: "Connected", connecting: "Connecting again…", closed: "Disconnected" }[state];
  status.classList.toggle("on", state === "open");
}

// ---- what the visitor does

composer.onsubmit = (e) => {
  e.preventDefault();
  const text = composer.text.value.trim();
  if (!text || !current) return;
  current.say(text);
  composer.reset();
};
composer.text.onkeydown = (e) => {
  if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
    e.preventDefault();
    composer.requestSubmit();
  }
};
composer.text.oninput = () => current?.writing();
$("newest").onclick = () => current.toEnd();
$("open").onsubmit = (e) => {
  e.preventDefault();
  const name = e.target.room.value.trim().toLowerCase().replaceAll(" ", "-");
  e.target.reset();
  show(name);
};
$("theme").onclick = () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  setTheme(now === "dark" ? "light" : "dark");
};
document.onvisibilitychange = () => {
  if (current) current.unread = 0;
  title();
};
addEventListener("popstate", () => show(location.pathname.split("/")[2], false));

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = localStorage.theme = theme;
}

// ---- begin

// tidy does what the server does with a name.
const tidy = (name) => [...name.replace(/\p{C}/gu, "").trim()].slice(0, 24).join("").trim() || "somebody";

function start() {
  me = tidy(sessionStorage.name);
  client = new Client(`/ws?name=${encodeURIComponent(me)}`, { onstate: showState });
  const wanted = location.pathname.split("/")[2];
  for (const name of ["lobby", "gophers", "random"]) open(name);
  show(wanted, false);
}

setTheme(localStorage.theme);
// Each tab has a name of its own; a new one is offered the last that was used.
sessionStorage.name = new URLSearchParams(location.search).get("name") ?? sessionStorage.name ?? "";
if (sessionStorage.name) {
  start();
} else {
  const dialog = $("welcome"), form = dialog.querySelector("form");
  form.elements.name.value = localStorage.name ?? "";
  dialog.oncancel = (e) => e.preventDefault();
  dialog.onclose = () => {
    sessionStorage.name = localStorage.name = form.elements.name.value.trim();
    start();
  };
  dialog.showModal();
}
