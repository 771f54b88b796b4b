// Reads cases from standard input, one JSON a line, and says for each what the page's own rules make of
// it: the settlement, or why there is none.
import { createInterface } from "node:readline";
import { settle } from "../../assets/verify/credit.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { terms, evidence, carried } = JSON.parse(line);
  try {
    console.log(JSON.stringify(settle(terms, evidence, carried)));
  } catch (error) {
    console.log(JSON.stringify({ refused: error.message }));
  }
}
