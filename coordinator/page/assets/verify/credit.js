// From evidence to credits, in whole numbers: the same rules as the program's, written a second time so
// that a reader's browser comes to every credit by itself. Amounts are in micro-credits.

import { compare, concat, demand, equal, hex, unhex, utf8 } from "./bytes.js";
import { digest } from "./blake3.js";

const STEP = "credits";
const SCORE_MAX = (1n << 53n) - 1n;
const BUDGET_MICRO_MAX = 1_000_000_000_000n;
const EPOCH_ROUNDS_MAX = 1024;
const ROOT_FRACTION_BITS = 32n;
const SHARE_UNITS = 1_000_000_000n;
const TOLERANCE_OF_SUM = 10_000n;
const TOLERANCE_OF_MEAN = 1000n;
const FLAG_ROUNDS_MIN = 4;
const DUPLICATE_ROUNDS_MIN = 8;
const MILLION = 1_000_000n;

const abs = (value) => (value < 0n ? -value : value);
const sign = (value) => (value < 0n ? -1n : value > 0n ? 1n : 0n);
const max = (one, other) => (one > other ? one : other);
const min = (one, other) => (one < other ? one : other);
const sum = (values) => values.reduce((all, value) => all + value, 0n);
const divideUp = (value, by) => (value + by - 1n) / by;

/** The whole part of the square root. */
export function root(value) {
  if (value < 2n) return value;
  let guess = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
  for (;;) {
    const next = (guess + value / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

function rootUp(value) {
  const below = root(value);
  return below * below < value ? below + 1n : below;
}

const timesUp = (ratio, value) => divideUp(value * BigInt(ratio.numerator), BigInt(ratio.denominator));

/**
 * Settles an epoch: what is in it, who is paid what, and why.
 *
 * @param {object} terms as they are in the ledger
 * @param {object[]} evidence of each round, as it is in the ledger
 * @param {{owner: string, micro: number}[]} carried debts of the settlement before
 * @returns {object} the settlement in the form that the ledger has it in
 */
export function settle(terms, evidence, carried) {
  checkTerms(terms);
  const rounds = ascending(terms, evidence);
  const termsId = termsDigest(terms);
  const evidenceId = digest(
    "credit-evidence", termsId, utf8("rounds"), concat(...rounds.map((round) => roundDigest(termsId, round))),
  );
  const tallies = tally(terms, rounds);
  const pool = BigInt(terms.budget_micro) * BigInt(rounds.length);
  const debtMax = pool / BigInt(tallies.size);
  const accounts = accountsOf(terms, tallies, debtsOf(carried), rounds.length, debtMax);
  const tie = (at) => digest("credit-tie", evidenceId, unhex(accounts[at].owner));
  const payments = apportion(pool, accounts.map((one) => one.payable_micro), tie);
  accounts.forEach((one, at) => {
    one.payment_micro = payments[at];
  });
  const duplicates = duplicatesOf(terms, tallies, rounds.length);
  for (const { owners: [one, other] } of duplicates) {
    for (const [owner, others] of [[one, other], [other, one]]) {
      accounts.find((account) => account.owner === owner).flags.push({ duplicate: { with: others } });
    }
  }
  return plain({
    terms: hex(termsId),
    evidence: hex(evidenceId),
    rounds: rounds.map((round) => round.round),
    pool_micro: pool,
    paid_micro: sum(payments),
    accounts,
    duplicates,
  });
}

/** BigInts as numbers, all of which are below 2^53 by the limits. */
function plain(value) {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

const isWhole = (value, low, high) => Number.isSafeInteger(value) && value >= low && value <= high;

function checkTerms(terms) {
  const isRatio = (one) => isWhole(one?.numerator, 0, 1e6) && isWhole(one?.denominator, 1, 1e6);
  const isSound =
    isWhole(terms.budget_micro, 1, Number(BUDGET_MICRO_MAX)) &&
    isWhole(terms.rounds, 2, EPOCH_ROUNDS_MAX) &&
    isWhole(terms.count_cap_medians, 1, 1000) &&
    [terms.lambda, terms.interval, terms.flag, terms.duplicate].every(isRatio) &&
    isWhole(terms.contributions_min, 3, 10_000);
  demand(isSound, STEP, "terms that no credits can be settled by");
}

/** The rounds ascending, each once and each sound. */
function ascending(terms, evidence) {
  const isNumber = evidence.length >= 2 && evidence.length <= terms.rounds;
  demand(isNumber, STEP, `evidence of ${evidence.length} rounds, the terms say 2 to ${terms.rounds}`);
  const rounds = [...evidence].sort((one, other) => one.round - other.round);
  const contexts = new Set(rounds.map((round) => round.context));
  const numbers = new Set(rounds.map((round) => round.round));
  demand(numbers.size === rounds.length, STEP, "evidence of a round twice");
  demand(contexts.size === rounds.length, STEP, "two rounds have the same context");
  rounds.forEach((round) => checkRound(terms, round));
  return rounds;
}

function checkRound(terms, round) {
  const { contributions, public: open } = round;
  demand(isWhole(round.round, 1, 2 ** 32 - 1), STEP, "evidence of no round");
  const number = contributions.length;
  demand(number >= terms.contributions_min, STEP, `round ${round.round} has ${number} contributions`);
  demand(open === null || open.length === number, STEP, `round ${round.round} has other public scores`);
  contributions.forEach((one, at) => {
    const isAfter = at === 0 || contributions[at - 1].owner < one.owner;
    demand(isAfter, STEP, `round ${round.round}: owners are not ascending`);
    demand(isWhole(one.count, 1, 2 ** 32 - 1), STEP, `round ${round.round}: no count of examples`);
    for (const score of [one.s, one.novelty, one.harm, open?.[at] ?? 0]) {
      demand(isWhole(score, -Number(SCORE_MAX), Number(SCORE_MAX)), STEP, `round ${round.round}: no score`);
    }
  });
}

function debtsOf(carried) {
  const debts = new Map();
  for (const { owner, micro } of carried) {
    demand(!debts.has(owner), STEP, "a debt is carried twice");
    demand(isWhole(micro, 1, Number(BUDGET_MICRO_MAX) * EPOCH_ROUNDS_MAX), STEP, "no possible debt");
    debts.set(owner, BigInt(micro));
  }
  return debts;
}

// The encoding that digests are over.

function varint(value) {
  const bytes = [];
  let rest = BigInt(value);
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

function fixed(value, length) {
  let rest = BigInt.asUintN(8 * length, BigInt(value));
  return Uint8Array.from({ length }, () => {
    const byte = Number(rest & 0xffn);
    rest >>= 8n;
    return byte;
  });
}

const VERSION = Uint8Array.of(1);

/** Digest of terms. */
export function termsDigest(terms) {
  const ratios = [terms.lambda, terms.interval, terms.flag, terms.duplicate];
  const numbers = [
    terms.budget_micro, terms.rounds, terms.count_cap_medians,
    ...ratios.flatMap((ratio) => [ratio.numerator, ratio.denominator]),
    terms.contributions_min,
  ];
  return digest("credit-terms", concat(VERSION, ...numbers.map(varint)));
}

/** Digest of a round's evidence under these terms. */
export function roundDigest(termsId, round) {
  const scores = (one) => [unhex(one.owner), fixed(one.count, 4), fixed(one.s, 8), fixed(one.novelty, 8), fixed(one.harm, 8)];
  const open = round.public === null
    ? [Uint8Array.of(0)]
    : [Uint8Array.of(1), varint(round.public.length), ...round.public.map((score) => fixed(score, 8))];
  const bytes = concat(
    VERSION, varint(round.round), unhex(round.context), varint(round.contributions.length),
    ...round.contributions.flatMap(scores), ...open,
  );
  return digest("credit-evidence", termsId, bytes);
}

// Dividing a whole exactly.

/** Divides `total` by these weights by largest remainder; of equal remainders the smaller tie first. */
export function apportion(total, weights, tie) {
  const whole = sum(weights);
  if (whole === 0n) return weights.map(() => 0n);
  const parts = weights.map((weight) => (total * weight) / whole);
  const remainders = weights.map((weight) => (total * weight) % whole);
  const left = Number(total - sum(parts));
  const order = remainders.map((_, at) => at).filter((at) => remainders[at] > 0n);
  const before = (one, other) =>
    remainders[one] === remainders[other]
      ? compare(tie(one), tie(other))
      : remainders[one] > remainders[other] ? -1 : 1;
  if (left > 0) order.sort(before).slice(0, left).forEach((at) => { parts[at] += 1n; });
  return parts;
}

function countCap(terms, contributions) {
  const counts = contributions.map((one) => one.count).sort((one, other) => one - other);
  const twiceMedian = counts[Math.floor((counts.length - 1) / 2)] + counts[Math.floor(counts.length / 2)];
  return (BigInt(terms.count_cap_medians) * BigInt(twiceMedian)) / 2n;
}

/** What an owner claims of a round: the root of its capped count times s. */
function claimsOf(terms, round) {
  const cap = countCap(terms, round.contributions);
  return round.contributions.map(
    (one) => root(min(BigInt(one.count), cap) << (2n * ROOT_FRACTION_BITS)) * BigInt(one.s),
  );
}

/** The round's budget by claims: what every contribution is credited. */
export function creditsOf(terms, round) {
  const claims = claimsOf(terms, round);
  const context = unhex(round.context);
  const tie = (at) => digest("credit-tie", context, unhex(round.contributions[at].owner));
  const parts = apportion(BigInt(terms.budget_micro), claims.map(abs), tie);
  return parts.map((part, at) => part * sign(claims[at]));
}

function scoreShares(scores) {
  const values = scores.map(BigInt);
  const whole = sum(values.map(abs));
  const parts = max(TOLERANCE_OF_SUM, TOLERANCE_OF_MEAN * BigInt(values.length));
  const counted = values.map((value) => (abs(value) * parts < whole ? 0n : value));
  const rest = sum(counted.map(abs));
  return counted.map((value) => (rest === 0n ? 0n : ((SHARE_UNITS * abs(value)) / rest) * sign(value)));
}

// Owners over the rounds of an epoch.

const newTally = () => ({
  credits: [], novelty: [], harm: [], public: [], shares: [], rounds_negative: 0, rounds_capped: 0,
});

function tally(terms, rounds) {
  const tallies = new Map();
  rounds.forEach((round, place) => {
    const { contributions } = round;
    const cap = countCap(terms, contributions);
    const credits = creditsOf(terms, round);
    const [s, novelty, harm] = ["s", "novelty", "harm"].map((name) => scoreShares(contributions.map((one) => one[name])));
    const open = round.public === null ? null : scoreShares(round.public);
    contributions.forEach((one, at) => {
      if (!tallies.has(one.owner)) tallies.set(one.owner, newTally());
      const own = tallies.get(one.owner);
      own.credits.push(credits[at]);
      own.rounds_negative += credits[at] < 0n ? 1 : 0;
      own.rounds_capped += BigInt(one.count) > cap ? 1 : 0;
      own.novelty.push(novelty[at]);
      own.harm.push(harm[at]);
      own.shares.push([place, s[at]]);
      if (open !== null) own.public.push(open[at]);
    });
  });
  return tallies;
}

/** Standard error of a sum over so many rounds, those without a value counting as 0; rounded up. */
function errorOf(values, rounds) {
  const squares = sum(values.map((value) => value * value));
  const number = BigInt(rounds);
  return rootUp(divideUp(number * squares - sum(values) ** 2n, number - 1n));
}

function statistic(values, z) {
  if (values.length < FLAG_ROUNDS_MIN) return null;
  const [total, error] = [sum(values), errorOf(values, values.length)];
  const margin = timesUp(z, error);
  return { rounds: values.length, sum: total, error, low: total - margin, high: total + margin };
}

function flagsOf({ novelty, harm, public: open }) {
  const hasNone = (one) => one !== null && one.low <= 0n;
  return [
    ...(hasNone(novelty) ? ["novelty"] : []),
    ...(harm !== null && harm.high < 0n ? ["harm"] : []),
    ...(hasNone(open) ? ["public"] : []),
  ];
}

function accountsOf(terms, tallies, debts, rounds, debtMax) {
  const owners = [...new Set([...tallies.keys(), ...debts.keys()])].sort();
  return owners.map((owner) => {
    const own = tallies.get(owner) ?? newTally();
    const carried = debts.get(owner) ?? 0n;
    const [credit, error] = [sum(own.credits), errorOf(own.credits, rounds)];
    const margin = timesUp(terms.interval, error);
    const balance = credit - carried;
    const statistics = {
      novelty: statistic(own.novelty, terms.flag),
      harm: statistic(own.harm, terms.flag),
      public: statistic(own.public, terms.flag),
    };
    return {
      owner,
      rounds: own.credits.length,
      rounds_negative: own.rounds_negative,
      rounds_capped: own.rounds_capped,
      credit_micro: credit,
      error_micro: error,
      low_micro: credit - margin,
      high_micro: credit + margin,
      carried_micro: carried,
      payable_micro: max(balance - timesUp(terms.lambda, error), 0n),
      payment_micro: 0n,
      debt_micro: min(max(-balance, 0n), debtMax),
      statistics,
      flags: flagsOf(statistics),
    };
  });
}

// Owners whose scores go together.

function momentsOf(one, other) {
  const own = new Map(one.shares);
  const pairs = other.shares.filter(([place]) => own.has(place)).map(([place, y]) => [own.get(place), y]);
  const [x, y] = [pairs.map((pair) => pair[0]), pairs.map((pair) => pair[1])];
  const number = BigInt(pairs.length);
  const squares = [x, y].map((values) => sum(values.map((value) => value * value)));
  const products = sum(pairs.map(([a, b]) => a * b));
  const variances = [x, y].map((values, at) => number * squares[at] - sum(values) ** 2n);
  return { rounds: pairs.length, squares, products, variances, covariance: number * products - sum(x) * sum(y) };
}

function isCorrelated({ squares, products, variances, covariance }, numerator, denominator) {
  if (variances[0] === 0n && variances[1] === 0n) {
    return squares[0] + squares[1] === 2n * products && squares[0] > 0n;
  }
  if (covariance <= 0n || variances.includes(0n)) return false;
  return (covariance * denominator) ** 2n >= variances[0] * numerator * variances[1] * numerator;
}

function millionthsOf(moments) {
  let [low, high] = [0n, MILLION + 1n];
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (isCorrelated(moments, middle, MILLION)) low = middle;
    else high = middle;
  }
  return low;
}

function duplicatesOf(terms, tallies) {
  const owners = [...tallies.keys()].sort().filter((owner) => tallies.get(owner).shares.length >= DUPLICATE_ROUNDS_MIN);
  const [numerator, denominator] = [BigInt(terms.duplicate.numerator), BigInt(terms.duplicate.denominator)];
  const best = new Map();
  const found = new Map();
  owners.forEach((one, at) => {
    for (const other of owners.slice(at + 1)) {
      const moments = momentsOf(tallies.get(one), tallies.get(other));
      if (moments.rounds < DUPLICATE_ROUNDS_MIN || !isCorrelated(moments, numerator, denominator)) continue;
      const millionths = millionthsOf(moments);
      const pair = { owners: [one, other], rounds: moments.rounds, correlation_millionths: millionths };
      for (const owner of [one, other]) {
        const so = best.get(owner);
        if (so === undefined || millionths > so.correlation_millionths) best.set(owner, pair);
      }
    }
  });
  for (const pair of best.values()) found.set(pair.owners.join(), pair);
  return [...found.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, pair]) => pair);
}

/** Demands that a settlement in the ledger is what its evidence comes to, to the last number. */
export function demandSettlement(terms, evidence, carried, written) {
  const own = settle(terms, evidence, carried);
  demand(own.evidence === written.evidence, STEP, "the credits are of other evidence than the ledger has");
  own.accounts.forEach((account, at) => {
    const other = written.accounts[at];
    const isSame = other !== undefined && JSON.stringify(account) === JSON.stringify(other);
    demand(isSame, STEP, `the credit of ${account.owner.slice(0, 8)} does not follow from the evidence`);
  });
  const isSame = equal(utf8(JSON.stringify(own)), utf8(JSON.stringify(written)));
  demand(isSame, STEP, "the settlement does not follow from the evidence");
  return own;
}
