// A picture of every page in every look.
import { mkdir } from "node:fs/promises";
import { LOOKS, launch, open, verdict } from "./browser.mjs";

const [base, folder, list] = process.argv.slice(2);
await mkdir(folder, { recursive: true });
const browser = await launch();
for (const [look, options] of LOOKS) {
  const context = await browser.newContext({ ...options, reducedMotion: "reduce" });
  for (const [name, path] of JSON.parse(list)) {
    const { page } = await open(context, base);
    await page.goto(base + path);
    await verdict(page);
    await page.screenshot({ path: `${folder}/${name}-${look}.png`, fullPage: true });
    await page.close();
  }
  await context.close();
}
await browser.close();
