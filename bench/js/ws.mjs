import { WebSocketServer } from 'ws';
import { answer, burstOf, mode, unsupported } from './child.mjs';

const noTakeover = { serverNoContextTakeover: true, clientNoContextTakeover: true };
const perMessageDeflate = { deflate: { threshold: 0, ...noTakeover }, takeover: { threshold: 0 } }[mode] ?? false;

const echo = (ws, message, binary) => ws.send(message, { binary });
const handlers = {
  echo, text: echo, deflate: echo, takeover: echo,
  broadcast: (_, message, binary) => {
    for (const copy of burstOf(message)) for (const client of server.clients) client.send(copy, { binary });
  },
};
const handle = handlers[mode];
if (!handle) unsupported();

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate, backlog: 4096 });
server.on('connection', (ws) => ws.on('message', (message, binary) => handle(ws, message, binary)));
server.on('listening', () => answer(server.address().port, () => global.gc()));
