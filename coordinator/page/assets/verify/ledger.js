// A ledger as it is published: entries, proved to be in it; and the credits in them, computed again.

import { demand, hex, textOf } from "./bytes.js";
import { demandSettlement, termsDigest } from "./credit.js";
import { sha256 } from "./note.js";
import { TILE_WIDTH, Tiles, bundlePath, demandConsistency, demandInclusion, leafHash, parseBundle } from "./tree.js";

/** Entries of the ledger of one head. */
export class Ledger {
  /**
   * @param {{size: number, root: Uint8Array}} head of an open checkpoint
   * @param {(path: string) => Promise<Uint8Array>} read what is published at a path
   */
  constructor(head, read) {
    this.head = head;
    this.read = read;
    this.tiles = new Tiles(head.size, read);
    this.bundles = new Map();
  }

  /** The bytes of an entry; demands that it is in the ledger. */
  async entry(index) {
    demand(Number.isSafeInteger(index) && index >= 0, "inclusion", "no number of an entry");
    demand(index < this.head.size, "inclusion", `entry ${index} is not in the ledger of the signed head, which has ${this.head.size}`);
    const bundle = Math.floor(index / TILE_WIDTH);
    if (!this.bundles.has(bundle)) {
      const width = this.tiles.width(0, bundle);
      this.bundles.set(bundle, parseBundle(await this.read(bundlePath(bundle, width)), width));
    }
    const bytes = this.bundles.get(bundle)[index % TILE_WIDTH];
    const proof = await this.tiles.inclusion(index);
    await demandInclusion(index, this.head.size, await leafHash(bytes), proof, this.head.root);
    return bytes;
  }

  /** What an entry says. */
  async said(index) {
    return parseEntry(await this.entry(index), this.head.origin);
  }

  /** Demands that this ledger begins with the one of an earlier head. */
  async demandBeginning(head) {
    const shrank = `the ledger had ${head.size} entries at your last visit, and now has ${this.head.size}`;
    demand(head.size <= this.head.size, "consistency", shrank);
    const proof = await this.tiles.consistency(head.size);
    await demandConsistency(head.size, this.head.size, proof, head.root, this.head.root);
  }

  /** A value that an entry holds itself, or the document that it names. */
  async held(value) {
    if (value !== null && typeof value === "object" && "here" in value) return value.here;
    const { sha256: digest, bytes: length } = value.document;
    const bytes = await this.read(`documents/${digest}`);
    const isIt = bytes.length === length && hex(await sha256(bytes)) === digest;
    demand(isIt, "documents", `the document ${digest.slice(0, 8)} is not the one that the ledger names`);
    return JSON.parse(textOf(bytes, "documents"));
  }

  /**
   * Computes the credits of entry `index` again, from the evidence in entries `evidence` and the debts
   * that the settlement in entry `before` left.
   */
  async demandCredits(index, evidence, before) {
    const said = await this.said(index);
    demand(said.kind === "credits-settled", "credits", `entry ${index} settles no credits`);
    const rounds = [];
    for (const at of evidence) rounds.push(await this.said(at));
    const previous = before === null ? null : await this.said(before);
    return this.demandSettled(said.body, rounds, previous?.body ?? null);
  }

  /** The same from what entries say. */
  async demandSettled(credits, rounds, previous) {
    const written = await this.held(credits.settlement);
    const terms = hex(termsDigest(credits.terms));
    const evidence = [];
    for (const { kind, body } of rounds) {
      const isOf = kind === "evidence-given" && body.run === credits.run && body.terms === terms;
      demand(isOf, "credits", "evidence of another run, or under other terms");
      const one = await this.held(body.evidence);
      demand(one.round === body.round, "credits", "evidence of another round than its entry says");
      evidence.push(one);
    }
    const carried = await this.held(credits.carried);
    const left = previous === null ? [] : debtsOf(await this.held(previous.settlement));
    const isCarried = JSON.stringify(carried) === JSON.stringify(left);
    demand(isCarried, "credits", "the debts carried in are not those that the settlement before left");
    return demandSettlement(credits.terms, evidence, carried, written);
  }
}

const debtsOf = (settlement) =>
  settlement.accounts
    .filter((account) => account.debt_micro > 0)
    .map(({ owner, debt_micro: micro }) => ({ owner, micro }));

/** What an entry says: JSON in its one form, of this federation. */
export function parseEntry(bytes, federation) {
  const text = textOf(bytes, "entry");
  let said = null;
  try {
    said = JSON.parse(text);
  } catch {
    demand(false, "entry", "an entry is not JSON");
  }
  const isEntry = said?.schema === "covey-entry/1" && typeof said.kind === "string";
  demand(isEntry && typeof said.body === "object", "entry", "an entry of an unknown form");
  demand(said.federation === federation, "entry", `an entry of another federation: ${said.federation}`);
  return said;
}

/**
 * Everything that all entries together say about credits: every settlement follows from the evidence
 * and the debts before it.
 * @param {Ledger} ledger
 * @param {Uint8Array[]} entries all of them, audited
 * @returns {Promise<number>} settlements that were computed again
 */
export async function demandAllCredits(ledger, entries) {
  const evidence = new Map();
  let [previous, count] = [null, 0];
  for (const bytes of entries) {
    const said = parseEntry(bytes, ledger.head.origin);
    const { kind, body } = said;
    if (kind === "evidence-given") evidence.set(body.run, [...(evidence.get(body.run) ?? []), said]);
    if (kind !== "credits-settled") continue;
    await ledger.demandSettled(body, evidence.get(body.run) ?? [], previous);
    previous = body;
    count += 1;
  }
  return count;
}
