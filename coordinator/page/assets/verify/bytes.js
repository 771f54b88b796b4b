// Bytes and their written forms. Every function refuses what is not in its one form.

/** What was checked turned out false, or could not be read at all. */
export class Doubt extends Error {
  /**
   * @param {string} step what was being checked
   * @param {string} message what is wrong
   */
  constructor(step, message) {
    super(message);
    this.name = "Doubt";
    this.step = step;
  }
}

/** Throws a {@link Doubt} unless `holds`. */
export function demand(holds, step, message) {
  if (!holds) throw new Doubt(step, message);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const utf8 = (text) => encoder.encode(text);

export function textOf(bytes, step) {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Doubt(step, "the bytes are not UTF-8 text");
  }
}

export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function equal(one, other) {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

/** Lower or higher or equal, byte by byte: -1, 1 or 0. */
export function compare(one, other) {
  const length = Math.min(one.length, other.length);
  for (let index = 0; index < length; index++) {
    if (one[index] !== other[index]) return one[index] < other[index] ? -1 : 1;
  }
  return Math.sign(one.length - other.length);
}

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export function unhex(text, step = "hexadecimal") {
  demand(/^([0-9a-f]{2})*$/.test(text), step, "not lower-case hexadecimal digits");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function base64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Standard base64 with padding; what does not encode back to the same text is refused. */
export function unbase64(text, step = "base64") {
  let bytes = null;
  try {
    bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    throw new Doubt(step, "not base64");
  }
  demand(base64(bytes) === text, step, "not base64 in its one form");
  return bytes;
}

/** A decimal number without sign or leading zero, below 2^53. */
export function decimal(text, step) {
  demand(/^(0|[1-9][0-9]{0,15})$/.test(text), step, `not a number: ${text.slice(0, 40)}`);
  const number = Number(text);
  demand(Number.isSafeInteger(number), step, `too large a number: ${text}`);
  return number;
}
