//! Replay of records.

use super::*;

#[test]
fn replay_stands_where_the_records_end_and_refuses_those_that_do_not_follow() {
    let mut bench = Bench::new();
    let mut records = Vec::new();
    let mut collect = |round: &mut Round| {
        while let Some(effect) = round.poll_effect() {
            if let RoundEffect::Append { sequence, record } = effect {
                round.handle_stored(sequence);
                records.push(record);
            }
        }
    };
    (0..4).for_each(|holder| bench.countersign(holder).unwrap());
    (0..OWNERS).for_each(|owner| bench.contribute(owner).unwrap());
    (0..4).for_each(|holder| bench.checked(holder, Vec::new()).unwrap());
    (0..3).for_each(|holder| bench.vote(holder).unwrap());
    bench.round.stop(bench.now);
    collect(&mut bench.round);
    let identity = bench.federation.coordinator.clone();
    let replay = |records: &[RoundRecord]| {
        Round::replay(records.iter().cloned(), identity.clone(), Time(9_000))
    };
    let phases = [
        Phase::Select,
        Phase::Collect,
        Phase::Collect,
        Phase::Collect,
        Phase::Collect,
        Phase::Collect,
        Phase::Collect,
        Phase::Vote,
        Phase::Vote,
        Phase::Release,
        Phase::Abandon,
    ];
    assert_eq!(records.len(), phases.len());
    for (index, phase) in phases.into_iter().enumerate() {
        let round = replay(&records[..=index]).expect("its own records");
        assert_eq!(round.phase(), phase, "after record {index}");
        let over = round.outcome().is_some();
        assert!(over || round.poll_timeout() >= Some(Time(9_000)));
    }
    assert_eq!(replay(&[]).err(), Some(Corrupt::Empty));
    assert_eq!(replay(&records[1..]).err(), Some(Corrupt::Opening(0)));
    let twice = [&records[..1], &records[..1]].concat();
    assert_eq!(replay(&twice).err(), Some(Corrupt::Opening(1)));
    let skipped = [&records[..2], &records[8..]].concat();
    let phase = Phase::Collect;
    assert_eq!(replay(&skipped).err(), Some(Corrupt::OutOfPhase { at: 2, phase }));
    let counted_twice = [&records[..3], &records[2..]].concat();
    assert_eq!(replay(&counted_twice).err(), Some(Corrupt::Client(3)));
}
