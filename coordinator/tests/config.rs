//! Bad configurations: each is told with file, line and what to do.

use std::fs;
use std::path::Path;
use std::time::Duration;

use covey_aggregation::net::{Bounds, TcpDoor};
use covey_coordinator::config::{Config, Positive};

fn error_of(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("plan.toml"), "").expect("written");
    let path = folder.path().join("coordinator.toml");
    let error = Config::parse(text, &path).expect_err("refused");
    let text = error.to_string();
    text.replace(&format!("{}", folder.path().display()), "D")
}

#[test]
fn each_mistake_names_file_line_and_column() {
    let table = [
        ("plan = \"plan.toml\"", "D/coordinator.toml:1:1: missing field `listen`"),
        (
            "listen = \"here\"\nplan = \"plan.toml\"",
            "D/coordinator.toml:1:10: \"here\": need an address with a port, such as \
             \"0.0.0.0:7443\"",
        ),
        (
            "listen = \"127.0.0.1:1\"\nplan = \"none.toml\"",
            "D/coordinator.toml:2:8: plan: there is no D/none.toml",
        ),
        (
            "listen = \"127.0.0.1:1\"\nplan = \"plan.toml\"\n\n[limits]\nuploads_max = 0",
            "D/coordinator.toml:5:15: 0: need a number from 1 to 4294967295",
        ),
        (
            "listen = \"127.0.0.1:1\"\nadmin = \"0.0.0.0:9443\"",
            "D/coordinator.toml:2:9: admin is plain HTTP, for everybody who reaches it",
        ),
        (
            "listen = \"127.0.0.1:1\"\nlisten_tcp = \"on\"",
            "D/coordinator.toml:2:14: \"on\": need \"same\" (the port of `listen`), \"off\", or an \
             address with a port",
        ),
        ("listen = ", "D/coordinator.toml:1:10: string values must be quoted"),
    ];
    for (text, expected) in table {
        assert!(error_of(text).starts_with(expected), "{text}\n -> {}", error_of(text));
    }
}

#[test]
fn an_unknown_field_is_named_with_its_line_and_the_known_ones() {
    let error = error_of("listen = \"127.0.0.1:1\"\nplan = \"plan.toml\"\nspeed = 3\n");
    assert!(error.starts_with("D/coordinator.toml:3:1: unknown field `speed`"), "{error}");
    assert!(error.contains("state_dir"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("/nowhere/coordinator.toml")).expect_err("refused");
    assert!(
        error.to_string().starts_with("/nowhere/coordinator.toml: cannot be read: "),
        "{error}"
    );
}

#[test]
fn paths_start_from_the_files_folder_and_the_rest_has_defaults() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("p.toml"), "").expect("written");
    let path = folder.path().join("coordinator.toml");
    fs::write(&path, "listen = \"127.0.0.1:0\"\nplan = \"p.toml\"\n[start]\nowners = 4\n")
        .expect("written");
    let config = Config::load(&path).expect("good");
    assert_eq!(config.plan, Some(folder.path().join("p.toml")));
    assert_eq!(config.state_dir, folder.path().join("state"));
    assert_eq!(config.start.owners, Some(Positive::of(4)));
    assert_eq!(config.start.wait_s, Positive::of(600));
    assert_eq!(config.limits.queue_max, Positive::of(256));
}

/// The limits that are said to be the defaults are the listener's own.
#[test]
fn what_others_may_take_has_defaults_and_can_be_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("coordinator.toml");
    let config = |more: &str| {
        let text = format!("listen = \"127.0.0.1:7443\"\n{more}");
        Config::parse(&text, &path).expect("good")
    };
    let plain = config("");
    assert_eq!((plain.limits.bounds(), plain.listen_tcp), (Bounds::default(), TcpDoor::Same));
    assert_eq!(config("listen_tcp = \"same\"").listen_tcp, TcpDoor::Same);
    assert_eq!(config("listen_tcp = \"off\"").listen_tcp, TcpDoor::Off);
    let elsewhere = "0.0.0.0:443".parse().expect("an address");
    assert_eq!(config("listen_tcp = \"0.0.0.0:443\"").doors().tcp, TcpDoor::At(elsewhere));
    let set = config("[limits]\nheader_s = 2\nbody_bytes_per_s = 9\ntcp_connections_max = 7\n");
    let expected = Bounds {
        header: Duration::from_secs(2),
        body_bytes_per_s: 9,
        tcp_connections: 7,
        ..Bounds::default()
    };
    assert_eq!(set.doors().bounds, expected);
}

#[test]
fn without_a_plan_it_waits_for_researchers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("coordinator.toml");
    fs::write(&path, "listen = \"127.0.0.1:0\"\n").expect("written");
    assert_eq!(Config::load(&path).expect("good").plan, None);
}
