import { answer, burstOf, mode, unsupported } from './child.mjs';

const deflate = { deflate: 'shared', takeover: 'dedicated' }[mode];
const compress = deflate !== undefined;
const members = new Set();

const handlers = {
  echo: (ws, message) => { ws.send(message, compress); },
  broadcast: (_, message) => {
    for (const copy of burstOf(message)) for (const member of members) member.send(copy);
  },
  prepared: (_, message) => {
    for (const copy of burstOf(message)) server.publish('all', copy);
  },
};
handlers.text = handlers.deflate = handlers.takeover = handlers.echo;
if (!handlers[mode]) unsupported();

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response('websockets only', { status: 400 })),
  websocket: {
    idleTimeout: 0,
    sendPings: false,
    perMessageDeflate: compress ? { compress: deflate, decompress: deflate } : false,
    open(ws) {
      if (mode === 'broadcast') members.add(ws);
      if (mode === 'prepared') ws.subscribe('all');
    },
    message: handlers[mode],
  },
});
answer(server.port, () => Bun.gc(true));
