//! Links between the programs: identity on disk, certificates, framing, bulk transfer.
//! Shared by the three programs; holds no rule of the protocol.
//!
//! - [`files`]: private and durable files
//! - [`key`]: a member's secret key, one for signatures and for TLS
//! - [`authority`], [`request`]: the federation's authority and how a member enrols
//! - [`invite`], [`enrolment`]: how somebody joins by one line of text, renews and leaves
//! - [`roster_file`]: the roster as people read it
//! - [`membership`]: everything a member needs to be recognised, checked when it is loaded
//! - [`guest_list`]: whom a listener lets in
//! - [`certificate`], [`tls`]: who a peer is, and the handshake that proves it
//! - [`version`]: which versions of the protocol are spoken
//! - [`boxed`]: futures that are compiled once
//! - [`frame`], [`link`], [`bulk`]: what travels over one connection
//! - [`egress`]: who is shown what leaves before it does
//! - [`transport`], [`route`]: QUIC, or TLS over TCP where UDP does not get through
//! - `connection`, `streams`, `tcp`: the same to everything above, whatever carries it
//! - [`listener`], [`dialer`], [`bounds`]: how a connection comes to be, and what it may take;
//!   `reset`: what becomes of it when the listener is started again
//!
//! # One link
//! A dialer opens one control stream and greets with the roster it has pinned; the listener
//! welcomes it, hands it a newer roster (then the dialer checks the committee's signatures of it, takes
//! it over and dials again), or closes with a coded reason. Then frames (`u32` length, little-endian, and a
//! [`crate::wire`] value) go both ways. Every further stream, also opened by the dialer, is one
//! bulk transfer. Over QUIC streams share one connection; over TCP each is a TLS connection of its own,
//! bound to the link's. TLS 1.3 only, both sides with certificates of the federation's authority,
//! X25519MLKEM768 preferred (draft-ietf-tls-ecdhe-mlkem), no resumption, no early data.

pub mod authority;
pub mod bounds;
pub mod boxed;
pub mod bulk;
pub mod certificate;
mod connection;
pub mod dialer;
pub mod egress;
pub mod enrolment;
pub mod error;
pub mod files;
pub mod frame;
pub mod guest_list;
pub mod invite;
pub mod key;
pub mod link;
pub mod listener;
pub mod membership;
mod newcomer;
mod places;
pub mod request;
mod reset;
pub mod roster_file;
pub mod route;
mod streams;
mod tcp;
pub mod text;
pub mod tls;
pub mod transport;
pub mod version;

pub use authority::{Authority, Validity};
pub use bounds::Bounds;
pub use boxed::Boxed;
pub use bulk::{
    Bulk, BulkAnswer, BulkArrival, BulkError, BulkRequest, BulkStream, Fetch, Offered, Sending,
    Upload,
};
pub use certificate::Stranger;
pub use dialer::Dialer;
pub use egress::{Egress, Leaving, Outline, Parcel};
pub use error::{CloseReason, Fault, LinkError};
pub use files::FileError;
pub use guest_list::GuestList;
pub use invite::Invite;
pub use key::IdentityKey;
pub use link::{ControlReceiver, ControlSender, Link, Links};
pub use listener::{Arrival, Doors, Listener, TcpDoor};
pub use membership::Membership;
pub use request::Request;
pub use roster_file::{read_roster, write_roster};
pub use route::Route;
pub use transport::{Transport, TransportChoice, Way};
pub use version::{Mismatch, Protocol, Versions};
