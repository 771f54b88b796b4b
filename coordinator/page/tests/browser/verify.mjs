// An honest server is green; every way to cheat turns the page red, hides it, and leaves the evidence.
import { demand, launch, open, verdict, verifyAll } from "./browser.mjs";

const [base, door, why] = process.argv.slice(2);

/** Name, whether the reader was here before, and the step at which it must be noticed. */
const CHEATS = [
  ["altered-entry", true, "inclusion"],
  ["altered-entry", false, "inclusion"],
  ["altered-evidence", false, "inclusion"],
  ["forked-log", true, "consistency"],
  ["missing-cosignature", false, "cosignatures"],
  ["stale-head", true, "head"],
  ["stale-head", false, "head"],
  ["altered-credit-signed", false, "credits"],
  ["altered-credit-shown", false, "shown"],
  ["altered-claim-shown", false, "shown"],
  ["altered-evidence-signed", false, "credits"],
  ["other-keys", true, "keys"],
];

async function cheat(name) {
  const answer = await fetch(`${door}/${name}`);
  demand(answer.ok, `no way to cheat by ${name}`);
}

const browser = await launch();

async function honest(context) {
  const { page, complaints } = await open(context, base);
  await page.goto(base + why);
  const first = await verdict(page);
  demand(first.verified === "head", `honest, at first: ${JSON.stringify(first)}`);
  const whole = await verifyAll(page);
  demand(whole.verified === "whole" && !whole.isHidden, `honest, all: ${JSON.stringify(whole)}`);
  demand(complaints.length === 0, complaints.join("\n"));
  return { page, whole };
}

{
  const context = await browser.newContext();
  await honest(context);
  const { page } = await honest(context);
  const again = await verifyAll(page);
  demand(again.said.includes("only grew since your last visit"), `the second visit: ${again.said}`);
  await page.goto(`${base}/ledger`);
  await verdict(page);
  const all = await verifyAll(page);
  demand(all.said.includes("every tile above them add up"), `the whole ledger: ${all.said}`);
  demand(all.said.includes("follow from the evidence"), `all credits: ${all.said}`);
  await context.close();
}

for (const [name, wasHere, step] of CHEATS) {
  const context = await browser.newContext();
  if (wasHere) await honest(context);
  await cheat(name);
  const { page } = await open(context, base);
  await page.goto(base + why);
  let seen = await verdict(page);
  if (seen.verified !== "failed") seen = await verifyAll(page);
  const label = `${name}${wasHere ? ", a second visit" : ""}`;
  demand(seen.verified === "failed", `${label} is not noticed: ${JSON.stringify(seen)}`);
  demand(seen.isHidden, `${label}: the page still shows its numbers`);
  demand(seen.doubt === step, `${label}: noticed at ${seen.doubt}, not at ${step}: ${seen.said}`);
  demand(seen.links === (wasHere ? 2 : 1) || name === "other-keys", `${label}: ${seen.links} files of evidence`);
  console.log(`red: ${label} (${seen.doubt})`);
  await context.close();
  await cheat("none");
}
{
  const context = await browser.newContext();
  await honest(context);
  console.log("green: honest again");
}
await browser.close();
