//! Who does not get in: versions, certificates, lengths.

use std::fs;
use std::time::{Duration, SystemTime};

use covey_aggregation::net::membership::MEMBER_FILE;
use covey_aggregation::net::{Authority, CloseReason, LinkError, Protocol, Validity};
use tokio::io::AsyncWriteExt as _;

use crate::federation::{Federation, PlanOptions};
use crate::raw::{self, Offer, dial, dial_tcp, opening, raw_error, record};
use crate::{ROGUE, Stage, in_time};

/// What a dialer of QUIC hears: the alert, or the code that the connection was closed with.
async fn hears_quic(stage: &Stage, who: Option<&str>, offered: &[&[u8]]) -> String {
    let member = who.map(|who| (&stage.federation, who));
    let lost = match in_time(dial(stage.address(), member, offered, Offer::Any)).await {
        Ok(connection) => in_time(connection.closed()).await,
        Err(error) => error,
    };
    match lost {
        quinn::ConnectionError::ConnectionClosed(close) => {
            let alert = u64::from(close.error_code).checked_sub(0x100).map(u8::try_from);
            let alert = alert.and_then(Result::ok).expect("an alert");
            let alert = rustls::Error::AlertReceived(alert.into());
            raw_error(&std::io::Error::other(alert))
        }
        quinn::ConnectionError::ApplicationClosed(close) => {
            format!("closed {} {}", close.error_code, String::from_utf8_lossy(&close.reason))
        }
        other => other.to_string(),
    }
}

/// The same over TCP.
async fn hears_tcp(stage: &Stage, who: Option<&str>, offered: &[&[u8]]) -> String {
    let member = who.map(|who| (&stage.federation, who));
    match in_time(dial_tcp(stage.address(), member, offered)).await {
        Ok(stream) => in_time(raw::hears(stream)).await,
        Err(error) => raw_error(&error),
    }
}

fn rogue() -> String {
    format!("owner-{ROGUE}")
}

pub(crate) async fn versions(stage: &mut Stage) {
    let code = CloseReason::Unsupported.code();
    let unsupported = format!("closed {code} covey/1 covey-enrol/1 covey-desk/1");
    let rogue = rogue();
    let cases: [(&[&[u8]], &str, &str); 3] = [
        (&[b"h3"], "no_application_protocol", "it offers h3"),
        (&[b"covey/9", b"covey-any"], &unsupported, "install a newer version of this coordinator"),
        (&[b"covey-enrol/0", b"covey-any"], &unsupported, "its program has to be renewed"),
    ];
    for (offered, answer, logged) in cases {
        assert_eq!(hears_quic(stage, Some(&rogue), offered).await, answer);
        stage.turned_away(logged).await;
        assert_eq!(hears_tcp(stage, Some(&rogue), offered).await, answer);
        stage.turned_away(logged).await;
    }
}

pub(crate) async fn certificates(stage: &mut Stage) {
    let alpn = Protocol::Link.newest();
    let day = Duration::from_secs(86_400);
    let federation = &stage.federation;
    for (folder, from) in
        [("expired", SystemTime::now() - 9 * day), ("early", SystemTime::now() + 2 * day)]
    {
        certify(federation, folder, from);
    }
    // A member of the same name in another federation of the same name.
    let other = Federation::new(ROGUE + 1, &PlanOptions::default());
    let foreign = federation.path("foreign");
    fs::create_dir(&foreign).expect("created");
    for file in [MEMBER_FILE, "identity.key"] {
        fs::copy(other.owner(ROGUE).join(file), foreign.join(file)).expect("copied");
    }
    let cases = [
        (None, "certificate_required", "certificate"),
        (Some("foreign"), "unknown_ca", "owner-3"),
        (Some("expired"), "certificate_expired", "owner-3"),
        (Some("early"), "certificate_expired", "owner-3"),
    ];
    for (who, answer, logged) in cases {
        assert_eq!(hears_quic(stage, who, &[&alpn]).await, answer, "{who:?}");
        let why = stage.turned_away("certificate").await;
        assert!(why.contains(logged), "{why}");
        assert_eq!(hears_tcp(stage, who, &[&alpn]).await, answer, "{who:?}");
        let why = stage.turned_away("certificate").await;
        assert!(why.contains(logged), "{why}");
    }
}

/// A folder with the rogue's key, and a certificate of it for a week from then on.
fn certify(federation: &Federation, folder: &str, from: SystemTime) {
    let (roster, path) = (federation.roster(), federation.path(folder));
    let authority = Authority::load(&federation.dir(), &roster).expect("an authority");
    let rogue = rogue();
    let member = roster.members.iter().find(|member| member.name.as_str() == rogue);
    let pem = authority.issue(member.expect("enrolled"), Validity { from, days: 7 });
    fs::create_dir(&path).expect("created");
    fs::write(path.join(MEMBER_FILE), pem.expect("issued")).expect("written");
    let key = federation.owner(ROGUE).join("identity.key");
    fs::copy(key, path.join("identity.key")).expect("copied");
}

/// What a first frame can be, and the code that it is answered with.
pub(crate) async fn lengths(stage: &mut Stage) {
    let rogue = rogue();
    let member = Some((&stage.federation, rogue.as_str()));
    let alpn = Protocol::Link.newest();
    let short = [&100u32.to_le_bytes()[..], &[7; 10]].concat();
    let lie = [&4u32.to_le_bytes()[..], &[7; 40]].concat();
    let cases = [
        // Above the limit: before a byte of it comes.
        (u32::MAX.to_le_bytes().to_vec(), false, CloseReason::TooLarge),
        // It ends before its length does.
        (short, true, CloseReason::Protocol),
        // It goes on after its length does.
        (lie, true, CloseReason::Protocol),
        // Nothing at all.
        (Vec::new(), true, CloseReason::Protocol),
    ];
    for (bytes, ends, reason) in cases {
        let connection = dial(stage.federation.address, member, &[&alpn], Offer::Any).await;
        let connection = connection.expect("a handshake");
        let (mut send, _receive) = connection.open_bi().await.expect("a stream");
        send.write_all(&bytes).await.expect("sent");
        if ends {
            send.finish().expect("ended");
        }
        let lost = LinkError::from(in_time(connection.closed()).await);
        assert!(matches!(lost, LinkError::Closed(closed) if closed == reason), "{lost}");

        let stream = dial_tcp(stage.federation.address, member, &[&alpn]).await;
        let mut stream = stream.expect("a handshake");
        stream.write_all(&opening(None)).await.expect("opened");
        stream.write_all(&record(1, &bytes)).await.expect("sent");
        if ends {
            stream.write_all(&record(2, &[])).await.expect("ended");
        }
        let told = in_time(raw::told(&mut stream)).await;
        assert_eq!(told, format!("closed {} ", reason.code()));
    }
}
