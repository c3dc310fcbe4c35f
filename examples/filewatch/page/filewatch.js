const [output, status, follow] = ["output", "status", "follow"].map((id) => document.getElementById(id));
const maxLines = 5000;
let attempts = 0;

function connect() {
  const socket = new WebSocket(new URL("ws", location).href.replace(/^http/, "ws"));
  socket.onopen = () => {
    attempts = 0;
    output.replaceChildren(); // the file's end comes once more
    show("Watching", true);
  };
  socket.onmessage = (m) => append(m.data.split("\n").slice(0, -1));
  socket.onclose = () => {
    // Longer after each failure, and for everybody another time.
    const wait = Math.min(30, 0.5 * 2 ** attempts++) * (0.5 + Math.random() / 2);
    show(`Connection lost. Again in ${Math.ceil(wait)} s`, false);
    setTimeout(connect, wait * 1000);
  };
}

function append(lines) {
  const kind = output.childElementCount ? "new" : "";
  output.append(...lines.map((line) => {
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = line || " ";
    return span;
  }));
  while (output.childElementCount > maxLines) output.firstElementChild.remove();
  if (follow.checked) output.scrollTop = output.scrollHeight;
}

function show(text, on) {
  status.textContent = text;
  status.classList.toggle("on", on);
}

output.onscroll = () => {
  follow.checked = output.scrollHeight - output.scrollTop - output.clientHeight < 40;
};
follow.onchange = () => {
  if (follow.checked) output.scrollTop = output.scrollHeight;
};
connect();
