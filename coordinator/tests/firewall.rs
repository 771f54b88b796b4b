//! The four programs on both sides of a firewall that drops UDP, in network namespaces. Run as root with
//! `ip` (iproute2); elsewhere it says that nothing was tested, unless `COVEY_REQUIRE_NETWORK` is set.
//! What needs no root, and links that break, are tested in `end_to_end.rs`.
//!
//! ```sh
//! cargo build --release --workspace    # the test runs the programs that are there
//! COVEY_REQUIRE_NETWORK=1 cargo test --release --workspace --test firewall -- --nocapture
//! ```
#![cfg(target_os = "linux")]

#[path = "processes/oracle.rs"]
mod oracle;
mod processes;

use processes::network::Network;
use processes::{Federation, Plan, Who, Work};

const OWNERS: usize = 4;

/// The way of a member's link.
fn linked(line: &str) -> Option<String> {
    line.contains("linked").then(|| line.to_owned())
}

#[test]
fn a_round_is_done_across_a_firewall_that_drops_udp_and_everybody_says_so() {
    let Some(network) = Network::new() else { return };
    let federation = Federation::in_network(OWNERS, &Plan::default(), network);
    // Without the firewall UDP gets through.
    let mut coordinator = federation.start(Who::Coordinator);
    let mut owner = federation.start(Who::Owner(0));
    let way = owner.wait_for(linked);
    assert!(way.contains("quic") || way.contains("QUIC"), "{way}");
    owner.kill();
    coordinator.kill();

    federation.block_udp();
    let mut work = Work::start(&federation);
    let members: Vec<Who> = federation.members().collect();
    let reason = "UDP to 10.77.0.2:7443 got no answer in 3 s";
    for who in &members {
        let way = work.process(*who).wait_for(linked);
        assert!(way.contains(reason), "{who}: {way}");
        println!("{}", way.trim());
    }
    let story = work.finish(&[]).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(story.finished["rounds_done"], 1, "{}", story.finished);
    let counted = story.rounds[0]["counted"].as_array().map(Vec::len);
    assert_eq!(counted, Some(OWNERS), "{}", story.rounds[0]);
    println!("a round of {} members across the firewall in {:.1?}", members.len(), story.took);
    oracle::check(&federation);
}
