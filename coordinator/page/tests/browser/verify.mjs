// An honest server is green; every way to cheat turns the page red, hides it, and leaves the evidence.
import { claims, demand, download, launch, open, verdict, verifyAll } from "./browser.mjs";

const [base, door, why, payout] = process.argv.slice(2);

/**
 * Name, whether the reader was here before, the step at which it must be noticed, what of the evidence that is
 * kept must be other than an honest server's (files by the beginnings of their paths, numbers that are shown,
 * keys), and where.
 */
const CHEATS = [
  ["altered-entry", true, "inclusion", ["tile/entries/"]],
  ["altered-entry", false, "inclusion", ["tile/entries/"]],
  ["altered-evidence", false, "inclusion", ["tile/entries/"]],
  ["forked-log", true, "consistency", ["checkpoint"]],
  ["missing-cosignature", false, "cosignatures", ["checkpoint"]],
  ["stale-head", true, "head", ["checkpoint"]],
  ["stale-head", false, "head", ["checkpoint"]],
  ["altered-credit-signed", false, "credits", ["checkpoint", "tile/entries/"]],
  ["altered-credit-shown", false, "shown", ["claims"]],
  ["altered-claim-shown", false, "shown", ["claims"]],
  ["altered-evidence-signed", false, "credits", ["checkpoint", "tile/entries/"]],
  ["other-keys", true, "keys", ["keys"]],
  ["altered-payout-shown", false, "shown", ["claims"], payout],
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

/** What an honest page shows, by its address; and the keys that it names. */
const truth = { claims: new Map(), keys: null };

async function demandEvidence(page, label, path, wasHere, altered) {
  const kept = JSON.parse(await download(page, "evidence.json"));
  const files = new Map(kept.files.map((file) => [file.path, Buffer.from(file.base64, "base64")]));
  await cheat("none");
  const others = [];
  for (const [name, bytes] of files) {
    const answer = await fetch(`${base}/${name}`);
    const isSame = answer.ok && bytes.equals(Buffer.from(await answer.arrayBuffer()));
    if (!isSame) others.push(name);
  }
  const shown = kept.page.claims.map(({ claim, value, text }) => `${claim} ${value} ${text}`);
  const isOther = { claims: JSON.stringify(shown) !== JSON.stringify(truth.claims.get(path)), keys: JSON.stringify(kept.keys.shown) !== truth.keys };
  for (const [what, is] of Object.entries(isOther)) demand(is === altered.includes(what), `${label}: ${what} in the evidence: ${is ? "other" : "the same"}`);
  const beginnings = altered.filter((one) => !(one in isOther));
  for (const begins of beginnings) demand(others.some((name) => name.startsWith(begins)), `${label}: no ${begins} that was altered is kept: ${others}`);
  if (beginnings.length === 0) demand(others.length === 0, `${label}: altered files: ${others}`);
  if (label.startsWith("altered-e") && !altered.includes("checkpoint")) {
    const honestBytes = Buffer.from(await (await fetch(`${base}/${others[0]}`)).arrayBuffer());
    const changes = files.get(others[0]).filter((byte, at) => byte !== honestBytes[at]).length;
    demand(others.length === 1 && changes === 1, `${label}: ${changes} bytes are other in ${others}`);
  }
  if (altered.includes("claims")) {
    const wrong = shown.filter((one, at) => one !== truth.claims.get(path)[at]);
    demand(wrong.length === 1, `${label}: ${wrong.length} numbers are other`);
    demand(files.has("checkpoint") && files.size > 1, `${label}: what the number was compared with is not kept`);
  }
  if (wasHere) {
    demand(JSON.stringify(kept.keys.pinned) === truth.keys, `${label}: the keys of the first visit are not kept`);
    const honestHead = Buffer.from(await (await fetch(`${base}/checkpoint`)).arrayBuffer());
    demand(Buffer.from(kept.last_checkpoint, "base64").equals(honestHead), `${label}: the last head is not kept`);
  }
  const doubt = await page.evaluate(() => document.documentElement.dataset.doubt);
  demand(kept.schema === "covey-page-evidence/1" && kept.step === doubt && kept.message !== "", `${label}: ${kept.step}, ${kept.message}`);
  demand(kept.page.address === base + path && Number(kept.page.named.size) > 0, `${label}: ${JSON.stringify(kept.page)}`);
}

{
  const context = await browser.newContext();
  await honest(context);
  const { page } = await honest(context);
  truth.claims.set(why, await claims(page));
  truth.keys = JSON.stringify(JSON.parse(await page.getAttribute("#trust", "data-keys")));
  demand(truth.claims.get(why).length > 0, "the page of a credit claims nothing");
  const again = await verifyAll(page);
  demand(again.said.includes("only grew since your last visit"), `the second visit: ${again.said}`);
  await page.goto(`${base}/ledger`);
  await verdict(page);
  const all = await verifyAll(page);
  demand(all.said.includes("every tile above them add up"), `the whole ledger: ${all.said}`);
  demand(all.said.includes("follow from the evidence"), `all credits: ${all.said}`);
  await page.goto(base + payout);
  await verdict(page);
  const paid = await verifyAll(page);
  demand(paid.said.includes("its tree and root are those"), `the payout: ${paid.said}`);
  truth.claims.set(payout, await claims(page));
  await context.close();
}

for (const [name, wasHere, step, altered, path = why] of CHEATS) {
  const context = await browser.newContext();
  if (wasHere) await honest(context);
  await cheat(name);
  const { page } = await open(context, base);
  await page.goto(base + path);
  let seen = await verdict(page);
  if (seen.verified !== "failed") seen = await verifyAll(page);
  const label = `${name}${wasHere ? ", a second visit" : ""}`;
  demand(seen.verified === "failed", `${label} is not noticed: ${JSON.stringify(seen)}`);
  demand(seen.isHidden, `${label}: the page still shows its numbers`);
  demand(seen.doubt === step, `${label}: noticed at ${seen.doubt}, not at ${step}: ${seen.said}`);
  const heads = (wasHere ? 1 : 0) + (name === "other-keys" ? 0 : 1);
  demand(seen.links >= 1 + heads, `${label}: ${seen.links} files of evidence`);
  await demandEvidence(page, label, path, wasHere, altered);
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
