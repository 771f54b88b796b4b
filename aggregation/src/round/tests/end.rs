//! The end, as everybody is told it.

use super::*;

#[test]
fn a_stopped_round_says_so_to_everybody() {
    let mut bench = Bench::collecting();
    drain_round(&mut bench.round);
    bench.round.stop(bench.now);
    assert_eq!(*bench.abandoned(), AbandonReason::Stopped);
    let effects = drain_round(&mut bench.round);
    assert!(matches!(effects[0], RoundEffect::Ended(Outcome::Abandoned { .. })));
    assert_eq!(effects.len(), 1 + OWNERS + 4);
    for effect in effects {
        let RoundEffect::ToClient { to, message: ToClient::Ended { outcome, .. } } = effect else {
            continue;
        };
        let Outcome::Abandoned { report, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(report.missing, [(to, MissingReason::NoAnswer)], "its own line only");
    }
    bench.round.stop(bench.now);
    assert_eq!(drain_round(&mut bench.round), Vec::new());
}
