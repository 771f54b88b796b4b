// What the scripts have in common.
import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const EXECUTABLE = process.env.COVEY_CHROMIUM ?? "/usr/bin/chromium";

export const launch = () =>
  chromium.launch({ executablePath: EXECUTABLE, args: ["--no-sandbox", "--disable-gpu"] });

/** The three looks of every page. */
export const LOOKS = [
  ["light", { colorScheme: "light", viewport: { width: 1280, height: 900 } }],
  ["dark", { colorScheme: "dark", viewport: { width: 1280, height: 900 } }],
  ["narrow", { colorScheme: "light", viewport: { width: 320, height: 800 } }],
];

/** Fails with what went wrong. */
export function demand(holds, message) {
  if (!holds) throw new Error(message);
}

/** A page that notes requests to anybody else, and whatever the browser complains about. */
export async function open(context, base) {
  const page = await context.newPage();
  const complaints = [];
  page.on("request", (request) => {
    const url = request.url();
    const isOwn = url.startsWith(`${base}/`) || url.startsWith("blob:") || url.startsWith("data:");
    if (!isOwn) complaints.push(`a request to ${url}`);
  });
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  return { page, complaints };
}

/** Waits until the page's verifier has said something, and gives what. */
export async function verdict(page) {
  await page.waitForFunction(() => document.documentElement.dataset.verified !== undefined, null, { timeout: 20_000 });
  return page.evaluate(() => ({
    verified: document.documentElement.dataset.verified,
    doubt: document.documentElement.dataset.doubt ?? "",
    said: document.querySelector("#trust").textContent,
    isHidden: document.querySelector("#content").hidden,
    links: document.querySelectorAll("#trust .evidence a").length,
  }));
}

/** What the page offers to download under a name, read as the reader's own file would be. */
export async function download(page, name) {
  const link = page.locator(`#trust .evidence a[download="${name}"]`);
  const [file] = await Promise.all([page.waitForEvent("download"), link.click()]);
  demand(file.suggestedFilename() === name, `${file.suggestedFilename()} is offered, not ${name}`);
  return readFile(await file.path());
}

/** The numbers that a page shows, as text. */
export const claims = (page) =>
  page.$$eval("[data-claim]", (all) => all.map((one) => `${one.dataset.claim} ${one.dataset.value} ${one.textContent.trim()}`));

/** Presses the button and waits for what comes of it. */
export async function verifyAll(page) {
  await page.locator("#trust button").click();
  await page.waitForFunction(() => ["whole", "failed"].includes(document.documentElement.dataset.verified), null, { timeout: 30_000 });
  return verdict(page);
}
