"""Writes tests/golden.json: what Google's dp-accounting says of 200 random settings.

    python3 -m venv /tmp/dp && /tmp/dp/bin/pip install dp-accounting==0.4.4
    /tmp/dp/bin/python aggregation/privacy/tests/golden.py            # writes the file
    /tmp/dp/bin/python aggregation/privacy/tests/golden.py --print    # prints it

Settings are drawn from a fixed seed with Python's own generator, whose sequence for `random()` is
promised never to change. Every fifth is a composition of several kinds of event. A setting whose
epsilon by Renyi-DP is above EPSILON_MAX is drawn again: nobody plans with it, and the reference's
array of losses would not fit the memory.

The reference splits losses at a fixed interval, 1e-4 unless told otherwise. That is coarser than
the loss of one step where the sampling rate is small, and would be the larger error of the
comparison; so each setting comes with an interval that fits it (see `interval_of`).
"""

import importlib.metadata
import json
import math
import pathlib
import random
import sys

VERSION = "0.4.4"
SEED = 20261129
SETTINGS = 200
EPSILON_MAX = 50.0
# The reference's losses of one event, at most: two million numbers.
CELLS_MAX = 2_000_000


def log_uniform(rng, low, high):
    return math.exp(math.log(low) + rng.random() * (math.log(high) - math.log(low)))


def event_of(rng):
    # As short decimals, so that both sides read the very same number.
    noise = float(f"{log_uniform(rng, 0.5, 20.0):.4g}")
    full = rng.random() < 0.2
    rate = 1.0 if full else float(f"{log_uniform(rng, 1e-4, 1.0):.4g}")
    count = round(log_uniform(rng, 1.0, 5000.0))
    return {"noise_multiplier": noise, "sampling_rate": rate, "count": count}


def interval_of(events):
    """An interval whose extra variance is at most a quarter of a hundredth of the whole's: each of
    C steps adds at most interval^2 / 4. Steps without sampling count as one, as their Gaussians
    compose exactly."""
    variance, steps, largest = 0.0, 0, 0.0
    for event in events:
        noise, rate, count = event["noise_multiplier"], event["sampling_rate"], event["count"]
        if rate == 1.0:
            noise, count = noise / math.sqrt(count), 1
        variance += count * min(rate**2 * math.expm1(min(noise**-2, 700.0)), noise**-2)
        steps += count
        # The loss eight standard deviations out, both ways.
        loss = noise**-2 / 2 + 8 / noise
        reach = loss if loss > 500 else math.log1p(rate * math.expm1(loss))
        largest = max(largest, 2 * reach)
    fitting = 0.1 * math.sqrt(variance / steps)
    # One decimal digit, for readers.
    return float(f"{max(min(fitting, 1e-2), largest / CELLS_MAX):.0e}")


def reference(events, delta, interval, only_rdp=False):
    from dp_accounting import dp_event
    from dp_accounting.pld import PLDAccountant
    from dp_accounting.rdp import RdpAccountant

    accountants = [RdpAccountant()]
    if not only_rdp:
        accountants.append(PLDAccountant(value_discretization_interval=interval))
    for event in events:
        one = dp_event.GaussianDpEvent(event["noise_multiplier"])
        if event["sampling_rate"] != 1.0:
            one = dp_event.PoissonSampledDpEvent(event["sampling_rate"], one)
        for accountant in accountants:
            accountant.compose(dp_event.SelfComposedDpEvent(one, event["count"]))
    return [float(accountant.get_epsilon(delta)) for accountant in accountants]


def settings():
    rng = random.Random(SEED)
    found = []
    while len(found) < SETTINGS:
        kinds = 2 + int(rng.random() * 3) if len(found) % 5 == 4 else 1
        events = [event_of(rng) for _ in range(kinds)]
        delta = float(f"{log_uniform(rng, 1e-8, 1e-3):.3g}")
        interval = interval_of(events)
        if reference(events, delta, interval, only_rdp=True)[0] > EPSILON_MAX:
            continue
        rdp, pld = reference(events, delta, interval)
        print(len(found), events, delta, interval, rdp, pld, file=sys.stderr, flush=True)
        found.append(
            {"events": events, "delta": delta, "interval": interval, "rdp": rdp, "pld": pld}
        )
    return found


def main():
    version = importlib.metadata.version("dp-accounting")
    if version != VERSION:
        sys.exit(f"dp-accounting is {version}; this file is of {VERSION}")
    golden = {"dp_accounting": version, "seed": SEED, "settings": settings()}
    lines = [json.dumps(setting) for setting in golden.pop("settings")]
    text = json.dumps(golden)[:-1] + ', "settings": [\n' + ",\n".join(lines) + "\n]}\n"
    if "--print" in sys.argv:
        sys.stdout.write(text)
    else:
        (pathlib.Path(__file__).parent / "golden.json").write_text(text)


if __name__ == "__main__":
    main()
