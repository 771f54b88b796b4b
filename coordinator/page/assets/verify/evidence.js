// What a reader keeps of a page that does not hold: everything that the server gave and showed, as one file
// that others can check without this server.

import { base64, equal } from "./bytes.js";

/** Everything that was read since a verification began. */
export class Evidence {
  constructor() {
    /** @type {{path: string, bytes: Uint8Array}[]} in the order read */
    this.files = [];
  }

  /** Keeps what was published at a path; each answer of a server that answers differently. */
  keep(path, bytes) {
    const isKept = this.files.some((one) => one.path === path && equal(one.bytes, bytes));
    if (!isKept) this.files.push({ path, bytes });
  }

  /**
   * The file.
   * @param {{step: string, message: string}} doubt what did not hold, and why
   * @param {object} keys `shown` by the page, and `pinned` at the first visit (null before it)
   * @param {object} page its address, the size and entries it names, and the numbers that it claims
   * @param {Uint8Array | null} lastCheckpoint the head that held at the last visit
   */
  json({ step, message }, keys, page, lastCheckpoint) {
    return JSON.stringify({
      schema: "covey-page-evidence/1",
      time: new Date().toISOString(),
      step,
      message,
      keys,
      page,
      last_checkpoint: lastCheckpoint === null ? null : base64(lastCheckpoint),
      files: this.files.map(({ path, bytes }) => ({ path, base64: base64(bytes) })),
    });
  }
}

/** The numbers that a document shows, with what it says they are. */
export function claimsOf(shown) {
  const all = [...shown.querySelectorAll("[data-claim]")];
  return all.map((one) => ({ claim: one.dataset.claim, value: one.dataset.value, text: one.textContent.trim() }));
}
