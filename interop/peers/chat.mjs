// Two tabs of Chromium talk through the chat: chat.mjs PAGE OTHER CHROMIUM [PICTURES], where PAGE can be cut off. It asks
// for that by printing "cut", and for "mend" and "restart", and goes on when it reads a line.
import { open } from "./browser.mjs";
import { deepStrictEqual as equal } from "node:assert";
import { createInterface } from "node:readline";

const [url, other, executable, pictures] = process.argv.slice(2);
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function ask(what) {
  console.log(what);
  await input.next();
}
const browser = await open(executable, { viewport: { width: 1100, height: 700 } });
const errors = [];

async function tab(url, name, colorScheme) {
  const page = await browser.newPage();
  page.on("pageerror", (e) => errors.push(e.message));
  await page.emulateMedia({ colorScheme });
  await page.goto(`${url}/room/lobby?name=${name}`);
  await page.waitForSelector("#status.on");
  return page;
}

async function say(page, text) {
  await page.fill("#say textarea", text);
  await page.press("#say textarea", "Enter");
}

const heard = (page, text) => page.getByText(text, { exact: true }).waitFor();
const people = (page) => page.$$eval("#people li", (items) => items.map((li) => li.lastChild.textContent));

async function peopleAre(page, names) {
  await page.waitForFunction((n) => document.querySelectorAll("#people li").length === n, names.length);
  equal(await people(page), names);
}

try {
  const ada = await tab(url, "Ada", "light");
  await peopleAre(ada, ["Ada"]);
  const grace = await tab(other, "Grace", "dark");
  await peopleAre(ada, ["Ada", "Grace"]);
  await peopleAre(grace, ["Ada", "Grace"]);

  await say(ada, "Hello, is anybody there?");
  await heard(grace, "Hello, is anybody there?");
  await say(grace, "<b>I am</b> & so is Zoë — λ");
  for (const page of [ada, grace]) await heard(page, "<b>I am</b> & so is Zoë — λ");
  equal(await ada.locator(".message.mine").count(), 1);

  // Several rooms on one connection, and who is writing.
  await grace.click("#rooms a[href='/room/gophers']");
  await say(grace, "In here they talk about generics.");
  await ada.waitForSelector("#rooms a[href='/room/gophers'][data-unread='1']");
  await grace.click("#rooms a[href='/room/lobby']");
  await say(ada, "Wait, I look it up in the other room.");
  await grace.locator("#say textarea").pressSequentially("Take your ti");
  await ada.getByText("Grace is writing").waitFor();

  if (pictures) {
    for (const [name, page] of Object.entries({ ada, grace })) {
      await page.bringToFront();
      await page.waitForFunction(() => document.getAnimations().length === 0);
      await page.screenshot({ path: `${pictures}/${name}.png` });
    }
  }

  await grace.fill("#say textarea", "");
  await ada.click("#rooms a[href='/room/gophers']");
  await heard(ada, "In here they talk about generics.");
  equal(await ada.getByText("Hello, is anybody there?").isVisible(), false);
  await ada.goBack();

  // Ada is cut off: what she misses comes when she is back, and what she says meanwhile goes out, once.
  await ask("cut");
  await ada.waitForSelector("#status:not(.on)");
  await say(ada, "Can you hear me?");
  await ada.waitForSelector(".message.unsent");
  for (const text of ["Ada?", "Are you there?"]) await say(grace, text);
  await ask("mend");
  await heard(grace, "Can you hear me?");
  for (const text of ["Ada?", "Are you there?"]) await heard(ada, text);
  await ada.waitForSelector(".messages:not([hidden]):not(:has(.unsent))");
  const texts = (page) => page.$$eval(".messages:not([hidden]) .message .text", (all) => all.map((p) => p.textContent));
  equal((await texts(ada)).slice(-3), ["Ada?", "Are you there?", "Can you hear me?"]);
  equal(await texts(grace), await texts(ada));
  equal(await ada.getByText("missing").count(), 0);

  await grace.reload();
  await heard(grace, "Hello, is anybody there?"); // history

  await ask("restart");
  for (const page of [ada, grace]) await page.waitForSelector("#status.on");
  await peopleAre(ada, ["Ada", "Grace"]);
  await say(grace, "Where were we?");
  await heard(ada, "Where were we?");

  await grace.close();
  await peopleAre(ada, ["Ada"]);
  equal(errors, []);
  console.log("talked");
} finally {
  await browser.close();
}
process.exit(0);
