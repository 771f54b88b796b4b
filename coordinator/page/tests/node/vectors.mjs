// The vectors of the log, which the program is tested with as well: what is valid is taken, and what is
// invalid is refused.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { webcrypto } from "node:crypto";
import { demand, equal, textOf, unbase64 } from "../../assets/verify/bytes.js";
import { isSignedBy, openCheckpoint, openCosignature, parseKey, parseNote, parsePinned, parseSignature } from "../../assets/verify/note.js";
import { bundlePath, demandConsistency, demandInclusion, leafHash, parseBundle, tilePath } from "../../assets/verify/tree.js";
import { decimal, utf8 } from "../../assets/verify/bytes.js";

globalThis.crypto ??= webcrypto;
const folder = process.argv[2];
const number = (text) => decimal(text, "vector");
const all = (list) => list.map((one) => unbase64(one));

const checks = {
  async note({ note, key, text }) {
    const parsed = parseNote(unbase64(note));
    demand(parsed.text === textOf(unbase64(text), "vector"), "note", "another text");
    const by = await parseKey(key);
    const own = parsed.signatures.filter((one) => one.name === by.name && equal(one.id, by.id));
    demand(own.length === 1, "note", "not one signature by the key");
    demand(own[0].signature.length === 64, "note", "no signature");
    demand(await isSignedBy(by.key, own[0].signature, utf8(parsed.text)), "note", "it does not hold");
  },
  async cosignature({ key, line, text, time_s: time }) {
    const [by, one] = [await parseKey(key), parseSignature(line)];
    demand(by.type === 4 && one.name === by.name && equal(one.id, by.id), "cosignature", "another key's");
    const got = await openCosignature(by, one.signature, textOf(unbase64(text), "vector"));
    demand(String(got) === time, "cosignature", "another time");
  },
  async checkpoint({ checkpoint, log, witnesses, needed, cosigned, size, root, unknown }) {
    const origin = log.split("+")[0];
    const pinned = await parsePinned({ origin, log, witnesses, quorum: needed });
    const head = await openCheckpoint(unbase64(checkpoint), pinned);
    demand(String(head.size) === size && equal(head.root, unbase64(root)), "checkpoint", "another head");
    demand(head.unknown === unknown, "checkpoint", `${head.unknown} unknown signatures`);
    const times = Object.fromEntries(head.cosigned.map((one) => [one.name, String(one.time)]));
    const isSame = Object.entries(cosigned).every(([name, time]) => times[name] === String(time));
    demand(isSame && head.cosigned.length === Object.keys(cosigned).length, "checkpoint", "other cosignatures");
  },
  async inclusion({ entry, index, size, proof, root }) {
    await demandInclusion(number(index), number(size), await leafHash(unbase64(entry)), all(proof), unbase64(root));
  },
  async consistency({ old_size: old, new_size: size, old_root: before, new_root: root, proof }) {
    await demandConsistency(number(old), number(size), all(proof), unbase64(before), unbase64(root));
  },
  async path({ level, index, width, path }) {
    const own = level === "entries" ? bundlePath(number(index), width) : tilePath(level, number(index), width);
    demand(own === path, "path", own);
  },
  async tile({ path, bytes, content }) {
    const width = Number(path.split(".p/")[1] ?? 256);
    const file = unbase64(bytes);
    if (!path.startsWith("tile/entries/")) {
      demand(file.length === 32 * width, "tile", "not so many hashes");
      return;
    }
    const entries = parseBundle(file, width);
    demand(entries.every((entry, at) => equal(entry, unbase64(content[at]))), "entries", "other entries");
  },
};

const said = { valid: 0, invalid: 0, wrong: [] };
for (const [name, check] of Object.entries(checks)) {
  const file = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
  for (const one of file.valid) {
    said.valid += 1;
    await check(one).catch((error) => said.wrong.push(`${name}, ${one.name}: ${error.message}`));
  }
  // Paths are only written, never read.
  for (const one of name === "path" ? [] : file.invalid) {
    said.invalid += 1;
    const refused = await check(one).then(() => false, (error) => error.name === "Doubt");
    if (!refused) said.wrong.push(`${name}, ${one.name}: taken (${one.wrong})`);
  }
}
console.log(JSON.stringify(said));
