// Signed notes, checkpoints and cosignatures: c2sp.org/signed-note, c2sp.org/tlog-checkpoint and
// c2sp.org/tlog-cosignature.

import { Doubt, base64, concat, decimal, demand, equal, hex, textOf, unbase64, utf8 } from "./bytes.js";

const ED25519 = 0x01;
const COSIGNATURE_V1 = 0x04;
const NOTE_BYTES_MAX = 1_000_000;
const SIGNATURES_MAX = 100;
const WHERE = "checkpoint";

/** SHA-256 by WebCrypto. */
export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/**
 * A verifier key, `name+keyid+base64(type || public key)`.
 * @returns {Promise<{name: string, id: Uint8Array, type: number, key: Uint8Array}>}
 */
export async function parseKey(text) {
  const step = "key";
  const [, name, id, data] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/u.exec(text) ?? [];
  demand(name !== undefined, step, "not a verifier key");
  const bytes = unbase64(data, step);
  const type = bytes[0];
  demand(bytes.length === 33, step, `the key of ${name} has ${bytes.length} bytes`);
  demand(type === ED25519 || type === COSIGNATURE_V1, step, `the key of ${name} is of an unknown type`);
  const expected = await keyId(name, bytes);
  demand(hex(expected) === id, step, `the identifier of the key of ${name} is not of that key`);
  return { name, id: expected, type, key: bytes.slice(1) };
}

async function keyId(name, typeAndKey) {
  return (await sha256(concat(utf8(`${name}\n`), typeAndKey))).slice(0, 4);
}

/** Splits a note into its text (with its last newline) and its signatures. */
export function parseNote(bytes) {
  demand(bytes.length <= NOTE_BYTES_MAX, WHERE, "longer than a note may be");
  const all = textOf(bytes, WHERE);
  demand(!/[\u0000-\u0009\u000b-\u001f]/.test(all), WHERE, "a control character in a note");
  const split = all.lastIndexOf("\n\n");
  demand(split >= 0, WHERE, "a note without signatures");
  const text = all.slice(0, split + 1);
  const rest = all.slice(split + 2);
  demand(rest.endsWith("\n"), WHERE, "the last signature has no end of line");
  const lines = rest.slice(0, -1).split("\n");
  demand(lines.length <= SIGNATURES_MAX, WHERE, "more signatures than a note may have");
  return { text, signatures: lines.map(parseSignature) };
}

function parseSignature(line) {
  const [, name, data] = /^\u2014 ([^+\s]+) (\S+)$/u.exec(line) ?? [];
  demand(name !== undefined, WHERE, "a line that is not a signature");
  const bytes = unbase64(data, WHERE);
  demand(bytes.length >= 5, WHERE, `the signature of ${name} is too short`);
  return { name, id: bytes.slice(0, 4), signature: bytes.slice(4) };
}

/** The body of a checkpoint: origin, size and root. */
export function parseCheckpoint(text) {
  const lines = text.split("\n");
  demand(lines.length >= 4 && lines.at(-1) === "", WHERE, "too few lines for a checkpoint");
  const [origin, size, root, ...extensions] = lines.slice(0, -1);
  demand(origin !== "", WHERE, "no origin");
  demand(extensions.every((line) => line !== ""), WHERE, "an empty line in a checkpoint");
  const bytes = unbase64(root, WHERE);
  demand(bytes.length === 32, WHERE, "the root is not 32 bytes");
  return { origin, size: decimal(size, WHERE), root: bytes, extensions };
}

/**
 * Opens a checkpoint: the log's signature must hold, and every signature by a pinned key must. Those
 * of keys that are not pinned are passed over, as the specification says, and counted.
 *
 * @param {Uint8Array} bytes the signed note
 * @param {{origin: string, log: object, witnesses: object[], quorum: number}} pinned parsed keys
 * @returns {Promise<{origin, size, root, text, cosigned: {name: string, time: number}[], unknown: number}>}
 */
export async function openCheckpoint(bytes, pinned) {
  const note = parseNote(bytes);
  const head = parseCheckpoint(note.text);
  demand(head.origin === pinned.origin, WHERE, `a checkpoint of another log: ${head.origin}`);
  let [isSigned, unknown] = [false, 0];
  const cosigned = new Map();
  const seen = new Set();
  for (const one of note.signatures) {
    const key = [pinned.log, ...pinned.witnesses].find(
      (key) => key.name === one.name && equal(key.id, one.id),
    );
    if (key === undefined) {
      unknown += 1;
      continue;
    }
    const id = `${one.name} ${hex(one.id)}`;
    demand(!seen.has(id), "signature", `two signatures by ${one.name}`);
    seen.add(id);
    if (key.type === ED25519) {
      await demandSignature(key, one.signature, utf8(note.text), "log signature");
      isSigned ||= key === pinned.log;
    } else {
      const time = await openCosignature(key, one.signature, note.text);
      cosigned.set(hex(key.key), { name: key.name, time });
    }
  }
  demand(isSigned, "log signature", `not signed by the log (${pinned.log.name})`);
  const cosignatures = [...cosigned.values()];
  demand(
    cosignatures.length >= pinned.quorum,
    "cosignatures",
    `cosigned by ${cosignatures.length} of ${pinned.witnesses.length} witnesses, ${pinned.quorum} are needed`,
  );
  return { ...head, text: note.text, bytes, cosigned: cosignatures, unknown };
}

async function openCosignature(key, signature, text) {
  const step = "cosignatures";
  demand(signature.length === 72, step, `the cosignature of ${key.name} is not 72 bytes`);
  const view = new DataView(signature.buffer, signature.byteOffset, signature.length);
  const time = view.getBigUint64(0);
  demand(time < 1n << 53n, step, `the cosignature of ${key.name} has an impossible time`);
  const message = utf8(`cosignature/v1\ntime ${time}\n${text}`);
  await demandSignature(key, signature.slice(8), message, step);
  return Number(time);
}

async function demandSignature(key, signature, message, step) {
  demand(signature.length === 64, step, `the signature of ${key.name} is not 64 bytes`);
  demand(await isSignedBy(key.key, signature, message), step, `the signature of ${key.name} does not hold`);
}

/** Whether an Ed25519 signature (RFC 8032) holds. */
export async function isSignedBy(publicKey, signature, message) {
  try {
    const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, signature, message);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") {
      throw new Doubt("browser", "this browser cannot verify Ed25519 signatures");
    }
    return false;
  }
}

/**
 * Keys as the page has them: verifier keys as text.
 * @param {{origin: string, log: string, witnesses: string[], quorum: number}} text
 */
export async function parsePinned(text) {
  const log = await parseKey(text.log);
  demand(log.type === ED25519, "key", "the log's key is not one of a log");
  const witnesses = await Promise.all(text.witnesses.map(parseKey));
  const isWitness = (key) => key.type === COSIGNATURE_V1;
  demand(witnesses.every(isWitness), "key", "a witness' key is not one of a witness");
  const different = new Set(witnesses.map((key) => hex(key.key)));
  demand(different.size === witnesses.length, "key", "two witnesses have one key");
  const isQuorum = Number.isSafeInteger(text.quorum) && text.quorum >= 1;
  demand(isQuorum && text.quorum <= witnesses.length, "key", "no possible quorum");
  return { origin: text.origin, log, witnesses, quorum: text.quorum };
}

/** A verifier key in its written form. */
export async function keyText(name, type, key) {
  const bytes = concat(Uint8Array.of(type), key);
  return `${name}+${hex(await keyId(name, bytes))}+${base64(bytes)}`;
}
