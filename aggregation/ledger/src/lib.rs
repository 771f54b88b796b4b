//! The ledger: an append-only log of what a federation did, which key holders cosign and anybody
//! verifies offline; and what follows from it: reviews of credits, and payouts. No clock, socket,
//! file, thread or ambient randomness in here.
