// Chromium, which compresses as it likes: compression-browser.mjs CHROMIUM. Each line of standard
// input has the url of a server, to which a page of the server's own connects. It echoes.
import { open } from "./browser.mjs";
import { createInterface } from "node:readline";

// This runs in the page.
function echo(url) {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (m) => socket.send(m.data);
  return new Promise((resolve) => { socket.onclose = resolve; }).then(() => {});
}

const browser = await open(process.argv[2]);
try {
  const page = await browser.newPage();
  for await (const line of createInterface({ input: process.stdin })) {
    const { url } = JSON.parse(line);
    await page.goto(url.replace("ws:", "http:").replace(/\/echo$/, "/page"));
    await page.evaluate(echo, url);
  }
} finally {
  await browser.close();
}
