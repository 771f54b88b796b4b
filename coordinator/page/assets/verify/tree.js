// The tree of the log: RFC 6962 (section 2.1) with SHA-256, proofs by the algorithms of RFC 9162
// (sections 2.1.3.2 and 2.1.4.2), and where c2sp.org/tlog-tiles keeps its hashes.

import { concat, demand, equal } from "./bytes.js";
import { sha256 } from "./note.js";

export const TILE_WIDTH = 256;
const HASH_BYTES = 32;

export const leafHash = (entry) => sha256(concat(Uint8Array.of(0), entry));
export const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

/** The root of a tree of these leaf hashes. */
export async function rootOf(leaves) {
  let level = leaves;
  if (level.length === 0) return sha256(new Uint8Array());
  while (level.length > 1) {
    const next = [];
    for (let at = 0; at + 1 < level.length; at += 2) next.push(await nodeHash(level[at], level[at + 1]));
    if (level.length % 2 === 1) next.push(level.at(-1));
    level = next;
  }
  return level[0];
}

const half = (number) => Math.floor(number / 2);

/** Demands that leaf `index` of a tree of `size` leaves is `leaf`. */
export async function demandInclusion(index, size, leaf, proof, root) {
  const step = "inclusion";
  demand(index < size, step, `there is no entry ${index} in a ledger of ${size}`);
  let [place, last, node, used] = [index, size - 1, leaf, 0];
  for (const hash of proof) {
    demand(last > 0, step, "the proof is too long");
    if (place % 2 === 1 || place === last) {
      node = await nodeHash(hash, node);
      while (place % 2 === 0 && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      node = await nodeHash(node, hash);
    }
    [place, last] = [half(place), half(last)];
    used += 1;
  }
  demand(last === 0 && used === proof.length, step, "the proof is too short");
  demand(equal(node, root), step, `entry ${index} is not in the ledger of this head`);
}

/** Demands that the tree of `size` leaves begins with that of `oldSize`. */
export async function demandConsistency(oldSize, size, proof, oldRoot, root) {
  const step = "consistency";
  demand(oldSize <= size, step, `the ledger shrank from ${oldSize} entries to ${size}`);
  if (oldSize === size) {
    demand(proof.length === 0, step, "a proof of nothing");
    demand(equal(oldRoot, root), step, `two ledgers of ${size} entries: the log has forked`);
    return;
  }
  if (oldSize === 0) {
    demand(proof.length === 0, step, "a proof of nothing");
    return;
  }
  let [place, last] = [oldSize - 1, size - 1];
  while (place % 2 === 1) [place, last] = [half(place), half(last)];
  const hashes = place === 0 ? [oldRoot, ...proof] : [...proof];
  demand(hashes.length > 0, step, "the proof is too short");
  let [old, fresh] = [hashes[0], hashes[0]];
  for (const hash of hashes.slice(1)) {
    demand(last > 0, step, "the proof is too long");
    if (place % 2 === 1 || place === last) {
      [old, fresh] = [await nodeHash(hash, old), await nodeHash(hash, fresh)];
      while (place % 2 === 0 && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      fresh = await nodeHash(fresh, hash);
    }
    [place, last] = [half(place), half(last)];
  }
  demand(last === 0, step, "the proof is too short");
  const isSame = equal(old, oldRoot) && equal(fresh, root);
  demand(isSame, step, `the ledger of ${size} entries does not begin with the ${oldSize} seen before`);
}

/** `N` of a tile's path: groups of three digits, all but the last with an `x` before them. */
function numbered(index) {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/.../g);
  return groups.map((group, at) => (at + 1 < groups.length ? `x${group}` : group)).join("/");
}

const path = (level, index, width) =>
  `tile/${level}/${numbered(index)}${width < TILE_WIDTH ? `.p/${width}` : ""}`;

/** Where tile `index` of `level` is kept, with so many hashes. */
export const tilePath = (level, index, width) => path(level, index, width);

/** Where bundle `index` of entries is kept, with so many entries. */
export const bundlePath = (index, width) => path("entries", index, width);

/** Entries of a bundle: each with its length in two bytes before it. */
export function parseBundle(bytes, width) {
  const step = "entries";
  const entries = [];
  let at = 0;
  while (at < bytes.length) {
    demand(at + 2 <= bytes.length, step, "a bundle ends in the middle of a length");
    const length = bytes[at] * 256 + bytes[at + 1];
    demand(at + 2 + length <= bytes.length, step, "a bundle ends in the middle of an entry");
    entries.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  demand(entries.length === width, step, `a bundle of ${entries.length} entries, not ${width}`);
  return entries;
}

/**
 * The hashes of a tree of `size` leaves, by its published tiles. A tile is read once; nothing in it is
 * believed: whoever uses a hash proves it against a signed root.
 */
export class Tiles {
  /**
   * @param {number} size leaves
   * @param {(path: string) => Promise<Uint8Array>} read
   */
  constructor(size, read) {
    this.size = size;
    this.read = read;
    this.tiles = new Map();
  }

  /** How many hashes tile `index` of `level` has. */
  width(level, index) {
    const hashes = Math.floor(this.size / TILE_WIDTH ** level);
    return Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH);
  }

  async tile(level, index) {
    const width = this.width(level, index);
    demand(width > 0, "tile", `no tile ${level}/${index} in a ledger of ${this.size}`);
    const where = tilePath(level, index, width);
    if (!this.tiles.has(where)) {
      const bytes = await this.read(where);
      demand(bytes.length === width * HASH_BYTES, "tile", `${where} has ${bytes.length} bytes`);
      this.tiles.set(where, bytes);
    }
    return this.tiles.get(where);
  }

  /** The hash over leaves `index << height` up to the next, a whole subtree. */
  async subtree(height, index) {
    const level = Math.floor(height / 8);
    const within = 2 ** (height % 8);
    const first = index * within;
    const bytes = await this.tile(level, Math.floor(first / TILE_WIDTH));
    const at = first % TILE_WIDTH;
    const hashes = [];
    for (let one = at; one < at + within; one++) {
      const hash = bytes.subarray(one * HASH_BYTES, (one + 1) * HASH_BYTES);
      demand(hash.length === HASH_BYTES, "tile", "a tile without the hash that is asked for");
      hashes.push(hash);
    }
    return rootOf(hashes);
  }

  /** The hash over leaves `start` to `end` as a tree of their own; `start` is a multiple of its size. */
  async range(start, end) {
    const length = end - start;
    const height = Math.log2(length);
    if (Number.isInteger(height)) return this.subtree(height, start / length);
    const left = 2 ** Math.floor(height);
    return nodeHash(await this.range(start, start + left), await this.range(start + left, end));
  }

  /** The proof that leaf `index` is in the tree (RFC 6962, section 2.1.1). */
  async inclusion(index) {
    const step = async (start, end) => {
      if (end - start <= 1) return [];
      const middle = start + splitOf(end - start);
      return index < middle
        ? [...(await step(start, middle)), await this.range(middle, end)]
        : [...(await step(middle, end)), await this.range(start, middle)];
    };
    return step(0, this.size);
  }

  /** The proof that the tree begins with that of `oldSize` leaves (RFC 6962, section 2.1.2). */
  async consistency(oldSize) {
    if (oldSize === 0 || oldSize >= this.size) return [];
    const step = async (start, end, isWhole) => {
      if (oldSize === end) return isWhole ? [] : [await this.range(start, end)];
      const middle = start + splitOf(end - start);
      return oldSize <= middle
        ? [...(await step(start, middle, isWhole)), await this.range(middle, end)]
        : [...(await step(middle, end, false)), await this.range(start, middle)];
    };
    return step(0, this.size, true);
  }

  /** The root, from the tiles. */
  root() {
    return this.size === 0 ? rootOf([]) : this.range(0, this.size);
  }
}

/** The largest power of two below `length`, which is at least 2. */
function splitOf(length) {
  let split = 1;
  while (split * 2 < length) split *= 2;
  return split;
}

/**
 * Reads every published byte of the ledger of `head` and demands that all of it belongs together:
 * entries, tiles of every level, and the root of the head.
 *
 * @param {{size: number, root: Uint8Array}} head of an open checkpoint
 * @param {(path: string) => Promise<Uint8Array>} read
 * @returns {Promise<Uint8Array[]>} the entries
 */
export async function audit(head, read) {
  const tiles = new Tiles(head.size, read);
  const entries = [];
  let hashes = [];
  for (let index = 0; index * TILE_WIDTH < head.size; index++) {
    const width = tiles.width(0, index);
    const bundle = parseBundle(await read(bundlePath(index, width)), width);
    const leaves = await demandBundle(bundle, await tiles.tile(0, index));
    hashes.push(...leaves);
    entries.push(...bundle);
  }
  const root = await rootOf(hashes);
  for (let level = 1; hashes.length >= TILE_WIDTH; level++) {
    const above = [];
    for (let index = 0; (index + 1) * TILE_WIDTH <= hashes.length; index += TILE_WIDTH) {
      const below = hashes.slice(index * TILE_WIDTH, (index + TILE_WIDTH) * TILE_WIDTH);
      above.push(...(await demandAbove(below, await tiles.tile(level, index / TILE_WIDTH))));
    }
    hashes = above;
  }
  demand(equal(root, head.root), "inclusion", "the entries are not those of the signed head");
  return entries;
}

/** Demands that a tile has the hashes of these entries; gives them. */
export async function demandBundle(entries, tile) {
  const hashes = [];
  for (const [at, entry] of entries.entries()) {
    const hash = await leafHash(entry);
    demand(equal(hash, hashAt(tile, at)), "inclusion", `entry ${at} of a bundle is not the one in its tile`);
    hashes.push(hash);
  }
  return hashes;
}

/** Demands that a tile follows from the hashes of the whole tiles below it; gives its hashes. */
export async function demandAbove(below, tile) {
  const hashes = [];
  for (let at = 0; (at + 1) * TILE_WIDTH <= below.length; at++) {
    const hash = await rootOf(below.slice(at * TILE_WIDTH, (at + 1) * TILE_WIDTH));
    demand(equal(hash, hashAt(tile, at)), "tile", `hash ${at} of a tile does not follow from the tile below`);
    hashes.push(hash);
  }
  return hashes;
}

const hashAt = (tile, at) => tile.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
