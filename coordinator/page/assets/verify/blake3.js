// BLAKE3 (github.com/BLAKE3-team/BLAKE3-specs) in its mode of key derivation, for the digests that
// decide between owners with equal claims.

import { concat, utf8 } from "./bytes.js";

const IV = Uint32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
);
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const [CHUNK_START, CHUNK_END, PARENT, ROOT] = [1, 2, 4, 8];
const [DERIVE_KEY_CONTEXT, DERIVE_KEY_MATERIAL] = [32, 64];
const [BLOCK_BYTES, CHUNK_BYTES] = [64, 1024];
const DOMAIN = "covey/v1/";

const rotate = (word, by) => (word >>> by) | (word << (32 - by));

function mix(state, [a, b, c, d], x, y) {
  state[a] = state[a] + state[b] + x;
  state[d] = rotate(state[d] ^ state[a], 16);
  state[c] = state[c] + state[d];
  state[b] = rotate(state[b] ^ state[c], 12);
  state[a] = state[a] + state[b] + y;
  state[d] = rotate(state[d] ^ state[a], 8);
  state[c] = state[c] + state[d];
  state[b] = rotate(state[b] ^ state[c], 7);
}

const QUARTERS = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];

/** The first half of the compression of a block: a chaining value, or the digest at the root. */
function compress(value, block, counter, length, flags) {
  const state = new Uint32Array(16);
  state.set(value);
  state.set(IV.subarray(0, 4), 8);
  state.set([counter >>> 0, Math.floor(counter / 2 ** 32), length, flags], 12);
  let words = block;
  for (let round = 0; round < 7; round++) {
    QUARTERS.forEach((quarter, at) => mix(state, quarter, words[2 * at], words[2 * at + 1]));
    words = PERMUTATION.map((from) => words[from]);
  }
  return Uint32Array.from({ length: 8 }, (_, at) => state[at] ^ state[at + 8]);
}

function wordsOf(bytes) {
  const words = new Uint32Array(16);
  bytes.forEach((byte, at) => {
    words[at >> 2] |= byte << (8 * (at & 3));
  });
  return words;
}

/** A chunk, up to its last block, which is given back uncompressed: it may be the root. */
function chunk(bytes, counter, key, flags) {
  let value = key;
  let at = 0;
  for (; bytes.length - at > BLOCK_BYTES; at += BLOCK_BYTES) {
    const start = at === 0 ? CHUNK_START : 0;
    value = compress(value, wordsOf(bytes.subarray(at, at + BLOCK_BYTES)), counter, BLOCK_BYTES, flags | start);
  }
  const block = bytes.subarray(at);
  const ends = CHUNK_END | (at === 0 ? CHUNK_START : 0);
  return { value, block: wordsOf(block), counter, length: block.length, flags: flags | ends };
}

const valueOf = (node, more = 0) =>
  compress(node.value, node.block, node.counter, node.length, node.flags | more);

function tree(bytes, counter, key, flags) {
  if (bytes.length <= CHUNK_BYTES) return chunk(bytes, counter, key, flags);
  let left = CHUNK_BYTES;
  while (left * 2 < bytes.length) left *= 2;
  const block = new Uint32Array(16);
  block.set(valueOf(tree(bytes.subarray(0, left), counter, key, flags)));
  block.set(valueOf(tree(bytes.subarray(left), counter + left / CHUNK_BYTES, key, flags)), 8);
  return { value: key, block, counter: 0, length: BLOCK_BYTES, flags: flags | PARENT };
}

const root = (bytes, key, flags) => valueOf(tree(bytes, 0, key, flags), ROOT);

/** 32 bytes derived from `material` under `context`. */
export function deriveKey(context, material) {
  const key = root(utf8(context), IV, DERIVE_KEY_CONTEXT);
  const words = root(material, key, DERIVE_KEY_MATERIAL);
  return Uint8Array.from({ length: 32 }, (_, at) => words[at >> 2] >>> (8 * (at & 3)));
}

/** The digest of `parts` under one of Covey's domains: each part has its length before it. */
export function digest(domain, ...parts) {
  const framed = parts.flatMap((part) => {
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(part.length), true);
    return [length, part];
  });
  return deriveKey(DOMAIN + domain, concat(...framed));
}
