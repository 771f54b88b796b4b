// Every page in every look: no serious fault, no request to anybody else, nothing wider than the screen;
// by keyboard, without JavaScript, and live.
import { AxeBuilder } from "@axe-core/playwright";
import { LOOKS, demand, launch, open, verdict } from "./browser.mjs";

const [base, door, list] = process.argv.slice(2);
const pages = JSON.parse(list);
const faults = [];
const browser = await launch();

for (const [look, options] of LOOKS) {
  const context = await browser.newContext(options);
  for (const [name, path] of pages) {
    const { page, complaints } = await open(context, base);
    await page.goto(base + path);
    await verdict(page);
    const isExpected = (text) => name === "not-found" && text.includes("404");
    for (const complaint of complaints.filter((text) => !isExpected(text))) faults.push(`${name} ${look}: ${complaint}`);
    const found = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
    for (const { id, impact, nodes } of found.violations) {
      const line = `${name} ${look}: ${impact} ${id}: ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}`;
      if (impact === "serious" || impact === "critical") faults.push(line);
      else console.log(`minor: ${line}`);
    }
    const width = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (width > 0) faults.push(`${name} ${look}: ${width} pixels wider than the screen`);
    await page.close();
  }
  await context.close();
}

/** Moves the focus on until it is where it shall be. */
async function tabTo(page, id) {
  for (let stops = 0; stops < 60; stops += 1) {
    await page.keyboard.press("Tab");
    if ((await page.evaluate(() => document.activeElement.id)) === id) return;
  }
  throw new Error(`#${id} cannot be reached by keyboard at ${page.url()}`);
}

{
  // What is read is the same without JavaScript, but for the verification above it.
  const [scripted, plain] = [await browser.newContext(), await browser.newContext({ javaScriptEnabled: false })];
  const [{ page: one }, { page: other }] = [await open(scripted, base), await open(plain, base)];
  for (const [name, path] of pages) {
    await one.goto(base + path);
    await verdict(one);
    await other.goto(base + path);
    const [with_, without] = [await one.locator("main").innerText(), await other.locator("main").innerText()];
    if (without.length < 60 || with_ !== without) faults.push(`${name}: without JavaScript it says ${without.slice(0, 400)}, with it ${with_.slice(0, 400)}`);
    const isVerified = await other.evaluate(() => document.documentElement.dataset.verified !== undefined);
    if (isVerified) faults.push(`${name}: JavaScript is on`);
  }
  await scripted.close();

  // The search box, by keyboard.
  await other.goto(base);
  await tabTo(other, "q");
  await other.keyboard.type("clinic-2");
  await other.keyboard.press("Enter");
  await other.waitForURL((url) => url.pathname !== "/");
  const found = await other.locator("main").innerText();
  if (!found.includes("clinic-2")) faults.push(`the search finds ${other.url()}: ${found.slice(0, 200)}`);

  // The form that prepares a dispute, by keyboard: the command is there, and nothing is sent.
  const [, prepare] = pages.find(([name]) => name === "prepare");
  const asked = new URL(base + prepare);
  ["remedy", "value", "why"].forEach((field) => asked.searchParams.delete(field));
  await other.goto(asked.href);
  await tabTo(other, "value");
  await other.keyboard.type("7.25");
  await tabTo(other, "why");
  await other.keyboard.type("it's not ours");
  await tabTo(other, "evidence");
  await other.keyboard.type("log.txt");
  await other.keyboard.press("Enter");
  await other.waitForURL((url) => url.searchParams.get("value") === "7.25");
  const command = await other.locator("main pre").first().innerText();
  const parts = ["covey-client dispute open --run ", ` --owner ${asked.searchParams.get("owner")}`, " --pay 7.25", "--why 'it'\\''s not ours'", " --evidence log.txt"];
  for (const part of parts) if (!command.includes(part)) faults.push(`the form prepares ${command}, without ${part}`);
  await plain.close();
}

{
  const context = await browser.newContext();
  const { page } = await open(context, base);
  await page.goto(base);
  await page.keyboard.press("Tab");
  const first = await page.evaluate(() => document.activeElement.className);
  if (first !== "skip") faults.push(`the first stop by keyboard is ${first}`);
  await page.keyboard.press("Enter");
  const target = await page.evaluate(() => document.activeElement.id);
  if (target !== "content") faults.push(`the skip link leads to ${target}`);
  const before = await page.locator("[data-live=waiting]").innerText();
  await fetch(`${door}/live`);
  await page.waitForFunction((text) => document.querySelector("[data-live=waiting]").textContent !== text, before, { timeout: 5_000 });
  await context.close();
}

await browser.close();
demand(faults.length === 0, faults.join("\n"));
console.log(`${pages.length} pages in ${LOOKS.length} looks: no serious fault`);
