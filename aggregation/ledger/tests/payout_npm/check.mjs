// Loads each file of a payout as any tool of the ecosystem would, and checks it against the same values
// by that package's own tree: node check.mjs FILE...
import { readFileSync } from "node:fs";
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";

for (const file of process.argv.slice(2)) {
  const tree = StandardMerkleTree.load(JSON.parse(readFileSync(file, "utf8")));
  tree.validate();
  const values = [...tree.entries()].map(([, value]) => value);
  const own = StandardMerkleTree.of(values, ["address", "uint256"]);
  if (own.root !== tree.root) throw new Error(`${file}: ${tree.root}, and ${own.root} by the package`);
  for (const [index, value] of tree.entries()) {
    const proof = tree.getProof(index);
    if (!StandardMerkleTree.verify(own.root, ["address", "uint256"], value, proof)) {
      throw new Error(`${file}: no proof of ${value}`);
    }
    if (JSON.stringify(proof) !== JSON.stringify(own.getProof(value))) {
      throw new Error(`${file}: another proof of ${value}`);
    }
  }
  console.log(`${values.length} ${tree.root}`);
}
