// The npm package ws, compressing: each line of standard input is one server or client
// that echoes. {serverTakeover, clientTakeover, bits} is a server, whose port is
// printed, and with a url it's a client. bits limits both windows, 0 doesn't.
import WebSocket, { WebSocketServer } from "ws";
import { createInterface } from "node:readline";

const perMessageDeflate = ({ serverTakeover, clientTakeover, bits }) => ({
  threshold: 0,
  ...(serverTakeover ? {} : { serverNoContextTakeover: true }),
  ...(clientTakeover ? {} : { clientNoContextTakeover: true }),
  ...(bits ? { serverMaxWindowBits: bits, clientMaxWindowBits: bits } : {}),
});

function echo(socket) {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
  socket.on("error", (e) => console.error(e.message)); // it closes, which the other end sees
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const { url, ...settings } = JSON.parse(line);
  const options = { perMessageDeflate: perMessageDeflate(settings) };
  if (url) return echo(new WebSocket(url, options));
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, ...options });
  server.on("connection", echo);
  server.on("listening", () => console.log(server.address().port));
});
