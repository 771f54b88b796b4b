//! The description of the page for programs (OpenAPI 3.1), made from the types of the views.

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::page::views;

/// An address and what there is.
pub(crate) struct Described {
    /// With parameters in braces.
    pub(crate) path: &'static str,
    pub(crate) what: &'static str,
    /// Parameters of the query.
    query: &'static [(&'static str, &'static str)],
    /// Its view; none where it is published as it is.
    pub(crate) view: Option<View>,
}

/// A view's name, schema, and the schemas that it refers to.
pub(crate) struct View {
    name: fn() -> String,
    schema: fn() -> RefOr<Schema>,
    others: fn(&mut Vec<(String, RefOr<Schema>)>),
}

const fn view<T: ToSchema>() -> Option<View> {
    Some(View {
        name: || T::name().into_owned(),
        schema: <T as PartialSchema>::schema,
        others: <T as ToSchema>::schemas,
    })
}

const fn page<T: ToSchema>(
    path: &'static str,
    what: &'static str,
    query: &'static [(&'static str, &'static str)],
) -> Described {
    Described { path, what, query, view: view::<T>() }
}

const fn file(path: &'static str, what: &'static str) -> Described {
    Described { path, what, query: &[], view: None }
}

/// All addresses.
pub(crate) const PATHS: &[Described] = &[
    page::<views::OverviewView>("/index", "The federation at a glance.", &[]),
    page::<views::RunsView>("/runs", "All runs, the newest first.", &[]),
    page::<views::RunView>(
        "/runs/{id}",
        "A run: plan, rounds, curves, credits, what it took.",
        &[],
    ),
    page::<views::ComputeView>(
        "/runs/{id}/compute",
        "What each round of a run took, as its owners say; as a table for each owner and round.",
        &[],
    ),
    page::<views::CompareView>(
        "/runs/compare",
        "Runs side by side.",
        &[("ids", "runs, separated by commas; up to 8")],
    ),
    page::<views::CreditsView>(
        "/credits",
        "Credits of an epoch, and all epochs.",
        &[("epoch", "from 1; the last where it is left out")],
    ),
    page::<views::MembersView>("/members", "All members.", &[]),
    page::<views::MemberView>(
        "/members/{who}",
        "A member, by its name or key: what it brought and was given.",
        &[],
    ),
    page::<views::EntryView>(
        "/entries/{index}",
        "An entry of the ledger. Of a settlement: the credits, and why an owner is credited what it is.",
        &[("owner", "a name or key, of a settlement's entry")],
    ),
    page::<views::LedgerView>(
        "/ledger",
        "Entries, the newest first, a hundred at a time.",
        &[("kind", "only entries of this kind"), ("before", "only entries before this one")],
    ),
    page::<views::PayoutsView>("/payouts", "All payouts, and what can be in the next one.", &[]),
    page::<views::PayoutView>(
        "/payouts/{number}",
        "A payout: amounts by address, and what is held back.",
        &[],
    ),
    page::<views::DisputesView>("/disputes", "All disputes and proposals.", &[]),
    page::<views::DisputeView>(
        "/disputes/{id}",
        "A dispute: what it asks, the votes, what it changes.",
        &[],
    ),
    page::<views::ProposalView>("/proposals/{id}", "A proposal and its votes.", &[]),
    page::<views::PrepareView>(
        "/disputes/new",
        "Writes the command that opens a dispute. Nothing is sent.",
        &[
            ("entry", "the entry of the settlement"),
            ("owner", "a name or key"),
            ("remedy", "pay or without"),
            ("value", "credits, or rounds separated by commas"),
            ("why", "why"),
            ("evidence", "files that show it, separated by commas"),
        ],
    ),
    page::<views::SearchView>(
        "/search",
        "Finds runs, members, entries, hashes and addresses.",
        &[("q", "what is looked for")],
    ),
    page::<views::HowView>("/how", "The method in words, and what is not proven.", &[]),
    page::<views::ApiView>("/api", "This list.", &[]),
    file("/live", "The run at hand, whenever it changes (server-sent events)."),
    file("/checkpoint", "The head of the ledger, signed and cosigned (C2SP tlog-checkpoint)."),
    file("/tile/{path}", "Tiles and bundles of entries (C2SP tlog-tiles)."),
    file("/entries/{index}/proof", "The proof that an entry is in the ledger (C2SP tlog-proof)."),
    file("/documents/{sha256}", "A document that an entry names, by its SHA-256 digest."),
];

/// The description, as JSON.
pub(crate) fn document() -> String {
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for one in PATHS {
        let mut methods = Map::new();
        methods.insert("get".to_owned(), operation(one));
        paths.insert(one.path.to_owned(), Value::Object(methods));
        let Some(view) = &one.view else { continue };
        let mut all = vec![((view.name)(), (view.schema)())];
        (view.others)(&mut all);
        schemas.extend(all.into_iter().map(|(name, schema)| (name, json!(schema))));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Covey",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Who brought what to a federation, what it was worth, and why. Read-only.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas },
    });
    document.to_string()
}

fn operation(one: &Described) -> Value {
    let in_path = one.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let text = json!({ "type": "string" });
    let in_path =
        in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text }));
    let in_query = one.query.iter().map(|(name, what)| {
        json!({ "name": name, "in": "query", "description": what, "required": false, "schema": text })
    });
    let parameters: Vec<_> = in_path.chain(in_query).collect();
    let content = match &one.view {
        Some(view) => json!({
            "application/json": { "schema": { "$ref": format!("#/components/schemas/{}", (view.name)()) } },
            "text/csv": { "schema": text },
            "text/html": { "schema": text },
        }),
        None => json!({ "*/*": {} }),
    };
    let good = json!({ "description": one.what, "content": content });
    let absent = json!({ "description": "There is no such thing in this ledger." });
    json!({
        "summary": one.what,
        "parameters": parameters,
        "responses": { "200": good, "404": absent },
    })
}
