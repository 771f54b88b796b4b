// Reads a ledger from a folder and checks the page's verifier on it: it holds; proofs of all kinds hold
// and others don't; and every change of one byte of every file is found.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { webcrypto } from "node:crypto";
import { openCheckpoint, parsePinned } from "../../assets/verify/note.js";
import {
  Tiles, audit, demandAbove, demandBundle, demandConsistency, demandInclusion, leafHash, parseBundle, rootOf,
} from "../../assets/verify/tree.js";

globalThis.crypto ??= webcrypto;

// The digests of what was not changed are not computed anew for each change.
const digests = new Map();
const plain = crypto.subtle.digest.bind(crypto.subtle);
crypto.subtle.digest = (kind, bytes) => {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const known = digests.get(key);
  if (known !== undefined) return known;
  const fresh = plain(kind, bytes);
  if (isLearning) digests.set(key, fresh);
  return fresh;
};
let isLearning = true;

const [folder, keys] = process.argv.slice(2);
const files = new Map();
const walk = (at) => {
  for (const name of readdirSync(at)) {
    const path = join(at, name);
    if (statSync(path).isDirectory()) walk(path);
    else files.set(relative(folder, path), new Uint8Array(readFileSync(path)));
  }
};
walk(folder);
const read = async (path) => {
  if (!files.has(path)) throw new Error(`${path} is not there`);
  return files.get(path);
};
const pinned = await parsePinned(JSON.parse(keys));
const head = await openCheckpoint(files.get("checkpoint"), pinned);
if (head.unknown !== 0) throw new Error("an unknown signature");
const entries = await audit(head, read);
const leaves = await Promise.all(entries.map(leafHash));
const isRefused = (check) => check.then(() => false, (error) => error.name === "Doubt");
const must = (holds, what) => {
  if (!holds) throw new Error(what);
};

// Proofs.
const tiles = new Tiles(head.size, read);
for (let index = 0; index < head.size; index += 37) {
  const proof = await tiles.inclusion(index);
  await demandInclusion(index, head.size, leaves[index], proof, head.root);
  const other = (index + 1) % head.size;
  must(await isRefused(demandInclusion(other, head.size, leaves[index], proof, head.root)), "another place");
  must(await isRefused(demandInclusion(index, head.size, leaves[other], proof, head.root)), "another leaf");
  must(await isRefused(demandInclusion(index, head.size, leaves[index], proof.slice(1), head.root)), "too short");
  must(await isRefused(demandInclusion(index, head.size, leaves[index], [...proof, head.root], head.root)), "too long");
}
for (let size = 1; size <= head.size; size += size < 20 ? 1 : 41) {
  const root = await rootOf(leaves.slice(0, size));
  const proof = await tiles.consistency(size);
  await demandConsistency(size, head.size, proof, root, head.root);
  const other = await rootOf([...leaves.slice(0, size - 1), head.root]);
  must(await isRefused(demandConsistency(size, head.size, proof, other, head.root)), `a fork at ${size}`);
  if (proof.length > 0) must(await isRefused(demandConsistency(size, head.size, proof.slice(1), root, head.root)), "too short");
}
isLearning = false;

// Every change of one byte. Each file is checked as the audit checks it, by itself.
const width = (path) => Number(path.split(".p/")[1] ?? 256);
const checks = {
  checkpoint: () => async (bytes) => {
    const opened = await openCheckpoint(bytes, pinned);
    if (opened.unknown !== 0) throw Object.assign(new Error("an unknown signature"), { name: "Doubt" });
  },
  bundle: (path) => {
    const tile = files.get(path.replace("entries", "0"));
    return async (bytes) => demandBundle(parseBundle(bytes, width(path)), tile);
  },
  tile: (path) => {
    const bundle = parseBundle(files.get(path.replace("tile/0", "tile/entries")), width(path));
    return async (bytes) => demandBundle(bundle, bytes);
  },
  above: () => async (bytes) => demandAbove(leaves, bytes),
};
const kindOf = (path) => {
  if (path === "checkpoint") return "checkpoint";
  if (path.startsWith("tile/entries/")) return "bundle";
  return path.startsWith("tile/0/") ? "tile" : "above";
};
const counts = {};
const missed = [];
for (const [path, bytes] of files) {
  const kind = kindOf(path);
  const check = checks[kind](path);
  await check(bytes);
  for (let at = 0; at < bytes.length; at++) {
    // Another change for each byte; every bit has its turn.
    const changed = bytes.slice();
    changed[at] ^= 1 << (at % 8);
    if (!(await isRefused(check(changed)))) missed.push(`${path}, byte ${at}`);
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
}
// And by the whole audit, now and then.
for (const [path, bytes] of files) {
  if (path === "checkpoint") continue;
  const changed = bytes.slice();
  changed[Math.floor(bytes.length / 2)] ^= 4;
  files.set(path, changed);
  if (!(await isRefused(audit(head, read)))) missed.push(`${path}, by the whole audit`);
  files.set(path, bytes);
}
console.log(JSON.stringify({ size: head.size, counts, missed }));
