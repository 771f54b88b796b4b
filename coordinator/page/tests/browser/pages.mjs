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

{
  const context = await browser.newContext({ javaScriptEnabled: false });
  const { page } = await open(context, base);
  for (const [name, path] of pages) {
    await page.goto(base + path);
    if (!(await page.locator("main h1").isVisible())) faults.push(`${name}: nothing without JavaScript`);
  }
  await context.close();
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
