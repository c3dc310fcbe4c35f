// Two tabs of Chromium talk through the chat: chat.mjs PAGE CHROMIUM [PICTURES]. It asks for
// a restart of the chat by printing "restart", and goes on when it reads a line.
import { open } from "./browser.mjs";
import { deepStrictEqual as equal } from "node:assert";
import { createInterface } from "node:readline/promises";

const [url, executable, pictures] = process.argv.slice(2);
const browser = await open(executable, { viewport: { width: 1100, height: 700 } });
const errors = [];

async function tab(name, colorScheme) {
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
  const ada = await tab("Ada", "light");
  await peopleAre(ada, ["Ada"]);
  const grace = await tab("Grace", "dark");
  await peopleAre(ada, ["Ada", "Grace"]);
  await peopleAre(grace, ["Ada", "Grace"]);

  await say(ada, "Hello, is anybody there?");
  await heard(grace, "Hello, is anybody there?");
  await say(grace, "<b>I am</b> & so are 你 🙂");
  for (const page of [ada, grace]) await heard(page, "<b>I am</b> & so are 你 🙂");
  equal(await ada.locator(".message.mine").count(), 1);

  if (pictures) {
    for (const [name, page] of Object.entries({ ada, grace })) {
      await page.bringToFront();
      await page.waitForFunction(() => document.getAnimations().length === 0);
      await page.screenshot({ path: `${pictures}/${name}.png` });
    }
  }

  await grace.reload();
  await heard(grace, "Hello, is anybody there?"); // history

  console.log("restart");
  await createInterface({ input: process.stdin }).question("");
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
