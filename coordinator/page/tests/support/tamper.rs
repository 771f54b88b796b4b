//! A server that cheats, in the ways that a page must notice.

use std::sync::{Arc, Mutex};

use covey_aggregation::hash::Digest;
use covey_ledger::book::{Book, CreditsRecord};
use covey_ledger::entry::{Entry, Kind};
use covey_ledger::example::Example;
use covey_page::{Federation, Live, Reading, Source};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Files, Log, Served, at_hand};

/// An example, served as the cheat of the hour asks.
pub(crate) struct Cheat {
    served: Served,
    honest: Files,
    example: Mutex<Example>,
    alteration: Mutex<Option<(String, String)>>,
}

impl Cheat {
    pub(crate) fn new(example: Example) -> Self {
        let served = Served::of(&example);
        served.live.send_replace(at_hand(&example));
        let honest = served.files.lock().expect("nobody panicked").clone();
        Self { served, honest, example: Mutex::new(example), alteration: Mutex::new(None) }
    }

    /// Cheats in this way from now on; false where there is no such way.
    pub(crate) fn begin(&self, name: &str) -> bool {
        let example = self.example.lock().expect("nobody panicked");
        let log = Log { example: &example };
        let (entries, all) = (&example.entries, example.holders.len());
        let mut files = self.honest.clone();
        let mut alteration = None;
        match name {
            "none" => {}
            "altered-entry" => {
                altered_bytes(&mut files, &entries[credits(&example.book).entry as usize])
            }
            "altered-evidence" => altered_bytes(&mut files, &entries[evidence(&example.book)]),
            "forked-log" => {
                let mut fork = entries.clone();
                fork[1] = changed(&fork[1], |entry| entry["time_ms"] = json!(1));
                files = log.publish(&fork, all);
            }
            "missing-cosignature" => {
                files = log.publish(entries, log.federation().quorum as usize - 1)
            }
            "stale-head" => files = log.publish(&entries[..entries.len() - 3], all),
            // Log and witnesses collude: what they sign is not what follows.
            "altered-credit-signed" => {
                let at = credits(&example.book).entry as usize;
                let mut other = entries.clone();
                other[at] = changed(&other[at], |entry| {
                    let account = &mut entry["body"]["settlement"]["here"]["accounts"][0];
                    let payment = account["payment_micro"].as_u64().expect("a payment");
                    account["payment_micro"] = json!(payment + 1);
                });
                files = log.publish(&other, all);
            }
            "altered-evidence-signed" => {
                let at = evidence(&example.book);
                let mut other = entries.clone();
                other[at] = changed(&other[at], |entry| {
                    let one = &mut entry["body"]["evidence"]["here"]["contributions"][0];
                    one["s"] = json!(one["s"].as_i64().expect("a score") + 1);
                });
                files = log.publish(&other, all);
            }
            "altered-credit-shown" | "altered-claim-shown" => {
                let account = &credits(&example.book).settlement.accounts[0];
                let owner = Digest(account.owner.0);
                let claim = format!(
                    r#"data-claim="{owner}/payment_micro" data-value="{}""#,
                    account.payment_micro
                );
                let other = format!(
                    r#"data-claim="{owner}/payment_micro" data-value="{}""#,
                    account.payment_micro + 1_000_000
                );
                alteration = Some(if name == "altered-claim-shown" {
                    (claim, other)
                } else {
                    (format!("{claim}>"), format!("{claim}>1"))
                });
            }
            "other-keys" => {
                let federation = log.federation();
                let stranger = super::stranger();
                let witness = &federation.witnesses[0];
                let (name, _) = witness.split_once('+').expect("a name");
                let name = name.parse().expect("a name of a key");
                let other = covey_ledger::note::VerifierKey::new(
                    name,
                    covey_ledger::note::Algorithm::Cosignature,
                    stranger.id(),
                );
                alteration = Some((witness.clone(), other.to_string()));
            }
            "live" => self.served.live.send_modify(|live| {
                live.number += 1;
                live.have += 1;
            }),
            _ => return false,
        }
        *self.served.files.lock().expect("nobody panicked") = files;
        *self.alteration.lock().expect("nobody panicked") = alteration;
        true
    }

    /// What is replaced in pages, by what.
    pub(crate) fn alteration(&self) -> Option<(String, String)> {
        self.alteration.lock().expect("nobody panicked").clone()
    }
}

/// The first settlement of a book.
pub(crate) fn credits(book: &Book) -> &CreditsRecord {
    book.settlements().next().expect("the story has credits")
}

/// The first entry with evidence.
fn evidence(book: &Book) -> usize {
    let entry = book.entries().iter().find(|entry| entry.kind == Kind::EvidenceGiven);
    entry.expect("the story has evidence").index as usize
}

/// Changes one byte of an entry in its bundle.
fn altered_bytes(files: &mut Files, entry: &[u8]) {
    for (path, bytes) in files.iter_mut().filter(|(path, _)| path.starts_with("tile/entries/")) {
        if let Some(at) = bytes.windows(entry.len()).position(|window| window == entry) {
            bytes[at + entry.len() / 2] ^= 1;
            return;
        }
        assert!(!path.is_empty());
    }
    panic!("the entry is in no bundle");
}

/// An entry that says something else, in the form that entries have.
fn changed(entry: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(entry).expect("JSON");
    change(&mut value);
    let entry: Entry = serde_json::from_value(value).expect("still an entry");
    entry.encode().expect("bytes")
}

impl Source for Cheat {
    fn federation(&self) -> Federation {
        self.served.federation()
    }
    fn book(&self) -> Option<Arc<Book>> {
        self.served.book()
    }
    fn now_ms(&self) -> u64 {
        self.served.now_ms()
    }
    fn entry(&self, index: u64) -> Reading<'_> {
        self.served.entry(index)
    }
    fn published<'a>(&'a self, path: &'a str) -> Reading<'a> {
        self.served.published(path)
    }
    fn document<'a>(&'a self, sha256: &'a str) -> Reading<'a> {
        self.served.document(sha256)
    }
    fn live(&self) -> watch::Receiver<Live> {
        self.served.live()
    }
}
