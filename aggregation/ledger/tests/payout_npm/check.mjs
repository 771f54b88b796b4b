// Loads and validates each file of a payout as any tool of the ecosystem would. Of the sizes that are named,
// the package makes its own tree of the same values, too, and every payee's proof:
// node check.mjs FOLDER SIZES_MAX SIZE...
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";

const ENCODING = ["address", "uint256"];

function prove(file, tree) {
  const own = StandardMerkleTree.of([...tree.entries()].map(([, value]) => value), ENCODING);
  if (own.root !== tree.root) throw new Error(`${file}: ${tree.root}, and ${own.root} by the package`);
  for (const [index, value] of tree.entries()) {
    const proof = tree.getProof(index);
    if (!StandardMerkleTree.verify(own.root, ENCODING, value, proof)) {
      throw new Error(`${file}: no proof of ${value}`);
    }
    if (JSON.stringify(proof) !== JSON.stringify(own.getProof(value))) {
      throw new Error(`${file}: another proof of ${value}`);
    }
  }
}

const [folder, last, ...proven] = process.argv.slice(2);
for (let size = 1; size <= Number(last); size += 1) {
  const file = join(folder, `payout-${size}.json`);
  const tree = StandardMerkleTree.load(JSON.parse(readFileSync(file, "utf8")));
  tree.validate();
  const isProven = proven.includes(String(size));
  if (isProven) prove(file, tree);
  console.log(`${[...tree.entries()].length} ${tree.root}${isProven ? " proven" : ""}`);
}
