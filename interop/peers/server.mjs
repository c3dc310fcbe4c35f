// A server by the npm package ws, with the paths that all servers here have.
// Prints its port, and then "CODE REASON" of the clients at /observe.
import { WebSocketServer } from "ws";
import { createServer } from "node:http";

const http = createServer();
const speak = (protocols) => ["v2.echo", "v1.echo"].find((p) => protocols.has(p)) ?? false;
const options = { noServer: true, perMessageDeflate: true, handleProtocols: speak };
const large = new WebSocketServer({ ...options, maxPayload: 4 << 20 });
const small = new WebSocketServer({ ...options, maxPayload: 1024 });

const echo = (socket) => socket.on("message", (data, binary) => socket.send(data, { binary }));
const paths = {
  "/echo": echo,
  "/small": echo,
  "/close": (socket, q) => socket.on("message", () => socket.close(Number(q.get("code")), q.get("reason"))),
  "/ping": (socket) => {
    socket.ping("are you there?");
    socket.on("pong", (data) => {
      if (data.toString() !== "are you there?") return socket.terminate();
      socket.send("ponged");
      socket.close(1000);
    });
  },
  "/observe": (socket) => socket.on("close", (code, reason) => console.log(`${code} ${reason}`)),
};

http.on("upgrade", (request, stream, head) => {
  const url = new URL(request.url, "http://server");
  const server = url.pathname === "/small" ? small : large;
  server.handleUpgrade(request, stream, head, (socket) => {
    socket.on("error", () => {}); // it closes, which is what the client looks at
    paths[url.pathname](socket, url.searchParams);
  });
});
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
