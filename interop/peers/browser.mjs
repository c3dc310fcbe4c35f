// open starts Chromium with a profile of its own.
import { chromium } from "playwright-core";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export async function open(executablePath, options = {}) {
  const profile = await mkdtemp(join(tmpdir(), "interop-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
    ],
    ...options,
  });
  context.on("close", () => rm(profile, { recursive: true, force: true, maxRetries: 5 }));
  return context;
}
