// Verifies, in the reader's browser, what the server shows: the head of the ledger and its signatures,
// that it continues what was seen before, that the entries behind a page are in it, and that credits
// follow from their evidence. When anything does not hold, the page is hidden and the evidence kept.
//
// A verifier that comes from the one who is verified is convenience: `covey-committee ledger verify` and any
// tool for tlog-tiles check the same without it.

import { Doubt, demand } from "./verify/bytes.js";
import { Evidence, claimsOf } from "./verify/evidence.js";
import { Ledger, demandAllCredits } from "./verify/ledger.js";
import { openCheckpoint, parsePinned } from "./verify/note.js";
import { demandPayout } from "./verify/payout.js";
import { audit } from "./verify/tree.js";

const bar = document.querySelector("#trust");
const PATIENCE_MS = 20_000;

/** What the server gave since this verification began. */
const seen = { checkpoint: null, evidence: new Evidence() };

if (bar !== null) begin();

async function begin() {
  if (globalThis.crypto?.subtle === undefined) {
    say("note", "Not verified here: a browser verifies only over https or on this machine itself. Use covey-committee ledger verify instead.");
    return;
  }
  const button = bar.querySelector("button");
  button.hidden = false;
  button.addEventListener("click", () => attempt(button, true));
  await attempt(button, false);
}

/** Verifies, and shows what came of it; `isWhole`: also what takes longer. */
async function attempt(button, isWhole) {
  button.disabled = true;
  delete document.documentElement.dataset.verified;
  say("note", "Verifying\u2026");
  const steps = [];
  [seen.checkpoint, seen.evidence] = [null, new Evidence()];
  try {
    await verify(steps, isWhole);
    document.documentElement.dataset.verified = isWhole ? "whole" : "head";
    say("good", steps[0].short, steps);
  } catch (error) {
    if (error instanceof Unreachable) say("warn", `Not verified: ${error.message}`, steps);
    else if (error instanceof Doubt && error.step === "browser") say("note", `Not verified here: ${error.message}.`, steps);
    else distrust(error, steps);
  }
  button.disabled = false;
}

/** What the server did not give: no proof of anything. */
class Unreachable extends Error {}

async function read(path) {
  let answer = null;
  try {
    answer = await fetch(`/${path}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    throw new Unreachable(`the server did not answer for ${path}.`);
  }
  if (answer.status >= 500) throw new Unreachable(`the server failed at ${path}.`);
  demand(answer.ok, "published", `what must be published is not: ${path}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  seen.evidence.keep(path, bytes);
  return bytes;
}

async function verify(steps, isWhole) {
  const text = JSON.parse(bar.dataset.keys);
  demandSameKeys(text);
  const pinned = await parsePinned(text);
  seen.checkpoint = await read("checkpoint");
  const head = await openCheckpoint(seen.checkpoint, pinned);
  const { size, cosigned } = head;
  const names = cosigned.map((one) => one.name.split("/").at(-1)).join(", ");
  const short = `Verified here: ${size} entries, signed by the log, cosigned by ${cosigned.length} of ${pinned.witnesses.length}`;
  steps.push({ how: "checked", short, text: `The head of ${size} entries is signed by the log ${pinned.log.name} and cosigned by ${names}.` });
  const shown = Number(bar.dataset.size);
  demand(size >= shown, "head", `the page shows ${shown} entries, but the signed head has ${size}: a stale head`);

  const ledger = new Ledger(head, read);
  const store = `covey/head/${head.origin}`;
  const last = lastHead(store);
  if (last !== null) {
    const before = await openCheckpoint(last, { ...pinned, quorum: 1 });
    await ledger.demandBeginning(before);
    steps.push({ how: "checked", text: `Nothing that you saw before was changed: the ledger only grew since your last visit, from ${before.size} entries.` });
  } else {
    steps.push({ how: "trusted", text: "This is your first visit: that it is the ledger others see is shown by the cosignatures alone." });
  }
  for (const index of numbers(bar.dataset.entries)) await ledger.entry(index);
  const count = numbers(bar.dataset.entries).length;
  if (count > 0) steps.push({ how: "checked", text: `${count === 1 ? "The entry" : `All ${count} entries`} behind this page ${count === 1 ? "is" : "are"} in the ledger.` });
  if (isWhole) await verifyCredits(ledger, steps);
  if (isWhole) await verifyPayout(ledger, steps);
  if (isWhole && bar.dataset.whole !== undefined) await verifyAll(ledger, steps);
  steps.push({ how: "trusted", text: "That the coordinator's entries about joining, dropping and times are true is its word; what a quorum attests is checked by covey-committee ledger verify." });
  localStorage.setItem(store, new TextDecoder().decode(seen.checkpoint));
}

function lastHead(store) {
  const text = localStorage.getItem(store);
  return text === null ? null : new TextEncoder().encode(text);
}

function keysStore(text) {
  return `covey/keys/${text.origin}`;
}

/** The keys are those of the first visit. */
function demandSameKeys(text) {
  const store = keysStore(text);
  const [before, now] = [localStorage.getItem(store), JSON.stringify(text)];
  if (before === null) localStorage.setItem(store, now);
  demand(before === null || before === now, "keys", "the page names other keys of the log or its witnesses than at your first visit");
}

const numbers = (list) => (list ?? "").split(",").filter((one) => one !== "").map(Number);

async function verifyCredits(ledger, steps) {
  if (bar.dataset.credits === undefined) return;
  const index = Number(bar.dataset.credits);
  const before = bar.dataset.before === undefined ? null : Number(bar.dataset.before);
  const evidence = numbers(bar.dataset.evidence);
  const settlement = await ledger.demandCredits(index, evidence, before);
  const accounts = new Map(settlement.accounts.map((account) => [account.owner, account]));
  let count = 0;
  for (const shown of document.querySelectorAll("[data-claim]")) {
    const [owner, name] = shown.dataset.claim.split("/");
    const account = accounts.get(owner);
    const isTrue = account !== undefined && String(account[name]) === shown.dataset.value;
    demand(isTrue, "shown", `the page shows another ${name.replaceAll("_", " ")} than the evidence comes to`);
    demand(wordsOf(Number(shown.dataset.value)) === shown.textContent.trim(), "shown", "the page shows another number than it names");
    count += 1;
  }
  steps.push({ how: "checked", text: `All ${accounts.size} credits were computed again from the evidence of ${evidence.length} rounds, to the last micro-credit; ${count} numbers on this page are these.` });
}

async function verifyPayout(ledger, steps) {
  if (bar.dataset.payout === undefined) return;
  const { kind, body } = await ledger.said(Number(bar.dataset.payout));
  demand(kind === "payout-made", "payout", "the entry is no payout");
  const units = demandPayout(await ledger.held({ document: body.file }), body);
  const shown = [...document.querySelectorAll("[data-claim]")];
  for (const one of shown) {
    const isTrue = units.get(one.dataset.claim) === one.dataset.value;
    const words = one.dataset.value.replace(/\B(?=(\d{3})+$)/g, "\u202f");
    demand(isTrue && words === one.textContent.trim(), "shown", `the page shows another amount for ${one.dataset.claim} than the file has`);
  }
  demand(shown.length === units.size, "shown", "the page does not show all amounts");
  steps.push({ how: "checked", text: `The file that contracts read is the one that the ledger names; its tree and root are those of the ${units.size} amounts on this page.` });
  steps.push({ how: "trusted", text: "That these amounts follow from all credits before is checked by covey-committee ledger verify." });
}

/** Micro-credits as the page writes them. */
export function wordsOf(micro) {
  const size = Math.abs(micro);
  const isSmall = micro !== 0 && size < 10_000;
  const hundredths = Math.floor((size + 5_000) / 10_000);
  const [whole, rest] = isSmall
    ? ["0", String(size).padStart(6, "0").replace(/0+$/, "").padEnd(2, "0")]
    : [String(Math.floor(hundredths / 100)), String(hundredths % 100).padStart(2, "0")];
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return `${micro < 0 ? "\u2212" : ""}${grouped}.${rest}`;
}

async function verifyAll(ledger, steps) {
  demand(ledger.head.unknown === 0, "signatures", `${ledger.head.unknown} signatures by keys that are not pinned`);
  const entries = await audit(ledger.head, read);
  steps.push({ how: "checked", text: `All ${entries.length} entries and every tile above them add up to the signed head.` });
  const count = await demandAllCredits(ledger, entries);
  steps.push({ how: "checked", text: `All ${count} settlements of credits follow from the evidence before them.` });
}

// What the reader sees.

function say(tone, text, steps = []) {
  bar.className = `trust ${tone}`;
  bar.querySelector(".said").textContent = text;
  const list = bar.querySelector("ul");
  list.replaceChildren(...steps.map(pointOf));
  list.closest("details").hidden = steps.length === 0;
}

function pointOf({ how, text }) {
  const point = document.createElement("li");
  const word = document.createElement("strong");
  word.textContent = how === "checked" ? "Checked: " : how === "failed" ? "Failed: " : "Trusted: ";
  point.append(word, text);
  return point;
}

/** Hides what cannot be believed, and offers the evidence. */
function distrust(error, steps) {
  const isDoubt = error instanceof Doubt;
  const doubt = { step: isDoubt ? error.step : "unreadable", message: error.message };
  const what = isDoubt ? `${error.step}: ${error.message}` : `the ledger cannot be read: ${error.message}`;
  document.documentElement.dataset.verified = "failed";
  document.documentElement.dataset.doubt = doubt.step;
  say("bad", "Do not trust this page: it does not hold.", [...steps, { how: "failed", text: `${what}.` }]);
  document.querySelector("#content").hidden = true;
  const details = bar.querySelector("details");
  details.open = true;
  const advice = document.createElement("p");
  advice.textContent = "Nothing is shown. Keep the files below, and ask others whether they see the same; covey-committee ledger verify checks without this server's help.";
  const links = kept(doubt).map(([name, bytes]) => linkTo(name, bytes));
  bar.querySelector(".evidence").replaceChildren(advice, ...links);
  bar.focus();
}

/**
 * Everything, as one file; and the head that came now and the last one that held by themselves, as
 * `covey-committee ledger verify --checkpoint` takes them.
 */
function kept(doubt) {
  const shown = JSON.parse(bar.dataset.keys);
  const last = lastHead(`covey/head/${shown.origin}`);
  const pinned = localStorage.getItem(keysStore(shown));
  const keys = { shown, pinned: pinned === null ? null : JSON.parse(pinned) };
  const { keys: _, ...named } = bar.dataset;
  const page = { address: location.href, named, claims: claimsOf(document) };
  const evidence = new TextEncoder().encode(seen.evidence.json(doubt, keys, page, last));
  const all = [["evidence.json", evidence], ["checkpoint-now.txt", seen.checkpoint], ["checkpoint-last-visit.txt", last]];
  return all.filter(([, bytes]) => bytes !== null);
}

function linkTo(name, bytes) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: name.endsWith(".json") ? "application/json" : "text/plain" }));
  link.download = name;
  link.textContent = `Download ${name}`;
  link.className = "button";
  return link;
}
