// Payouts: that the file which a contract reads is the one that the ledger names, and its tree the one of
// its amounts (OpenZeppelin standard-v1, Keccak-256).

import { compare, concat, demand, hex, unhex } from "./bytes.js";

const STEP = "payout";
const RATE_BYTES = 136;
const MASK = (1n << 64n) - 1n;

const rotate = (lane, by) => ((lane << by) | (lane >> (64n - by))) & MASK;

/** Constants of the rounds, and how far lanes are turned, by their definitions (Keccak reference, 1.2). */
const [ROUNDS, TURNS] = (() => {
  let register = 1;
  const bit = () => {
    const out = register & 1;
    register = (register << 1) ^ (register >> 7 ? 0x171 : 0);
    return out;
  };
  const rounds = Array.from({ length: 24 }, () => {
    let constant = 0n;
    for (let at = 0; at <= 6; at++) if (bit()) constant |= 1n << ((1n << BigInt(at)) - 1n);
    return constant;
  });
  const turns = new Array(25).fill(0n);
  for (let step = 0, x = 1, y = 0; step < 24; step++) {
    turns[x + 5 * y] = BigInt((((step + 1) * (step + 2)) / 2) % 64);
    [x, y] = [y, (2 * x + 3 * y) % 5];
  }
  return [rounds, turns];
})();

function permute(lanes) {
  for (const constant of ROUNDS) {
    const columns = [0, 1, 2, 3, 4].map((x) => lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]);
    const mixed = lanes.map((lane, at) => lane ^ columns[(at + 4) % 5] ^ rotate(columns[((at % 5) + 1) % 5], 1n));
    const moved = new Array(25);
    for (let x = 0; x < 5; x++) {
      for (let y = 0; y < 5; y++) {
        const [from, turn] = [x + 5 * y, TURNS[x + 5 * y]];
        moved[y + 5 * ((2 * x + 3 * y) % 5)] = turn === 0n ? mixed[from] : rotate(mixed[from], turn);
      }
    }
    for (let at = 0; at < 25; at++) {
      const row = at - (at % 5);
      lanes[at] = moved[at] ^ (~moved[row + ((at + 1) % 5)] & MASK & moved[row + ((at + 2) % 5)]);
    }
    lanes[0] ^= constant;
  }
}

/** The Keccak-256 digest of bytes, as Ethereum uses it. */
export function keccak256(bytes) {
  const padded = new Uint8Array(Math.floor(bytes.length / RATE_BYTES + 1) * RATE_BYTES);
  padded.set(bytes);
  padded[bytes.length] ^= 0x01;
  padded[padded.length - 1] ^= 0x80;
  const lanes = new Array(25).fill(0n);
  const view = new DataView(padded.buffer);
  for (let block = 0; block < padded.length; block += RATE_BYTES) {
    for (let at = 0; at < RATE_BYTES / 8; at++) lanes[at] ^= view.getBigUint64(block + 8 * at, true);
    permute(lanes);
  }
  const digest = new DataView(new ArrayBuffer(32));
  for (let at = 0; at < 4; at++) digest.setBigUint64(8 * at, lanes[at], true);
  return new Uint8Array(digest.buffer);
}

/** The leaf of an address and its amount. */
function leafOf(address, amount) {
  const isAddress = /^0x[0-9a-fA-F]{40}$/.test(address);
  demand(isAddress && /^(0|[1-9][0-9]{0,77})$/.test(amount), STEP, "no address, or no amount");
  const words = address.slice(2).toLowerCase().padStart(64, "0") + BigInt(amount).toString(16).padStart(64, "0");
  return keccak256(keccak256(unhex(words, STEP)));
}

/**
 * Demands that a payout's file is the tree of its amounts, with this root and these sums.
 * @param {object} file as it is published
 * @param {{root: string, payees: number, total: string}} payout as the ledger has it
 * @returns {Map<string, string>} units by address
 */
export function demandPayout(file, payout) {
  demand(file.format === "standard-v1", STEP, "a file of another format");
  const leaves = file.values.map(({ value: [address, amount] }) => leafOf(address, amount));
  const nodes = new Array(2 * leaves.length - 1);
  [...leaves].sort(compare).forEach((leaf, at) => {
    nodes[nodes.length - 1 - at] = leaf;
  });
  for (let at = nodes.length - 1 - leaves.length; at >= 0; at--) {
    const pair = [nodes[2 * at + 1], nodes[2 * at + 2]].sort(compare);
    nodes[at] = keccak256(concat(...pair));
  }
  const isTree = nodes.length === file.tree.length && nodes.every((node, at) => file.tree[at] === `0x${hex(node)}`);
  demand(isTree, STEP, "the tree in the file is not that of its amounts");
  demand(hex(nodes[0]) === payout.root, STEP, "the file has another root than the ledger");
  const isPlaced = file.values.every(({ treeIndex }, at) => compare(nodes[treeIndex] ?? new Uint8Array(), leaves[at]) === 0);
  demand(isPlaced, STEP, "an amount has another place in the tree than the file says");
  const units = new Map(file.values.map(({ value }) => value));
  const total = [...units.values()].reduce((all, amount) => all + BigInt(amount), 0n);
  demand(units.size === payout.payees && total === BigInt(payout.total), STEP, "the file has another total than the ledger");
  return units;
}
