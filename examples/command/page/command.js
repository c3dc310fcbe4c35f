const [output, status, again, prompt] = ["output", "status", "again", "prompt"].map((id) => document.getElementById(id));
const history = [];
let at = 0;

function start() {
  const socket = new WebSocket(new URL("ws", location).href.replace(/^http/, "ws"));
  const text = new TextDecoder(); // keeps half a character until the rest has come
  socket.binaryType = "arraybuffer";
  socket.onopen = () => show("Running", true);
  socket.onmessage = (m) => print(text.decode(m.data, { stream: true }));
  socket.onclose = (e) => show(e.reason || "Connection lost", false);
  prompt.onsubmit = (e) => {
    e.preventDefault();
    const line = prompt.line.value;
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(new TextEncoder().encode(line + "\n"));
    const typed = document.createElement("b");
    typed.textContent = line + "\n";
    print(typed);
    at = history.push(line);
    prompt.reset();
  };
}

function print(what) {
  output.append(what);
  output.scrollTop = output.scrollHeight;
}

function show(text, running) {
  status.textContent = text;
  status.classList.toggle("on", running);
  again.hidden = running;
  prompt.line.disabled = !running;
  (running ? prompt.line : again).focus();
}

prompt.line.onkeydown = (e) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[e.key];
  if (!step) return;
  e.preventDefault();
  at = Math.min(Math.max(at + step, 0), history.length);
  prompt.line.value = history[at] ?? "";
};
again.onclick = () => {
  output.replaceChildren();
  start();
};
start();
