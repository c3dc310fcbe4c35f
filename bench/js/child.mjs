// What every server here shares: its configuration, and the protocol of a child process (see ../README.md).
import { createInterface } from 'node:readline';

export const { BENCH_MODE: mode = 'echo', BENCH_CHI, BENCH_TLS } = process.env;
export const burst = Number(process.env.BENCH_BURST || 1);

// burstOf returns the messages that one message sets off in broadcast modes: copies whose first byte counts.
export function burstOf(message) {
  return Array.from({ length: burst }, (_, i) => {
    const copy = Buffer.from(message);
    copy[0] = i;
    return copy;
  });
}

export function unsupported() {
  console.log('unsupported');
  process.exit(0);
}

// answer says where the server listens, then answers the bench's commands until its input ends.
export function answer(port, collect) {
  console.log(`ready 127.0.0.1:${port}`);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    if (line === 'gc') {
      collect();
      console.log('done');
    } else {
      console.log(`error: no command ${line}`);
    }
  });
  lines.on('close', () => process.exit(0));
}

if (BENCH_CHI || BENCH_TLS) unsupported();
