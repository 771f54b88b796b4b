//! Whatever members and strangers write, it is text on every page: 200 strings that would be more, in
//! every place that takes words.

mod support;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use covey_ledger::entry::{
    Ended, MeasuredBy, Metric, Missing, MissingCode, Participation, PhaseSpan, RoundClosed,
    RoundOutcome, RunEnded, SeatFault,
};
use covey_ledger::example::Example;
use covey_ledger::statement::{Budget, Change, Proposal, Says};
use covey_page::router;
use support::{Served, addresses, at_hand, example};
use tower::ServiceExt as _;

const PAYLOADS: [&str; 50] = [
    "<script>alert(1)</script>",
    "<script src=//evil.example/x.js></script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<math><mi//xlink:href='data:x,1'>",
    "<a href=javascript:alert(1)>x</a>",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>1</script>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<object data=javascript:alert(1)>",
    "<embed src=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "<style>@import '//evil.example'</style>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example/>",
    "<form action=//evil.example><button>x",
    "<button formaction=javascript:alert(1)>x",
    "<marquee onstart=alert(1)>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><x/>",
    "<textarea><img src=x onerror=alert(1)>",
    "<title><img src=x onerror=alert(1)>",
    "<xmp><script>alert(1)</script>",
    "<plaintext>",
    "onmouseover=alert(1) x=",
    "onfocus=alert(1) autofocus tabindex=1 x=",
    "style=position:fixed;inset:0 x=",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "#{7*7}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;img src=x onerror=alert(1)&#62;",
    "\u{ff1c}script\u{ff1e}alert(1)\u{ff1c}/script\u{ff1e}",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\u{202e}<script>alert(1)</script>",
    "\u{0}<script>alert(1)</script>",
    "\u{2028}alert(1)\u{2029}",
    "<scr\u{0}ipt>alert(1)</scr\u{0}ipt>",
    "=HYPERLINK(\"//evil.example\",\"x\")",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
];

/// Ways out of where a text stands: between tags, in quotes of both kinds, in another element.
const WAYS_OUT: [&str; 4] =
    ["", "\"> ", "'> ", "</code></pre></title></textarea></script></style> "];

fn corpus() -> Vec<String> {
    WAYS_OUT
        .iter()
        .flat_map(|out| PAYLOADS.iter().map(move |payload| format!("{out}{payload}")))
        .collect()
}

/// An example with the strings in every place of entries that takes words.
fn evil() -> Example {
    let mut example = example(1);
    let run = example.book.runs().iter().rev().find(|run| run.is_live()).expect("a live run");
    let (run_id, last) =
        (run.plan.run, run.rounds.values().next_back().expect("a round").closed.clone());
    let corpus = corpus();
    let owner = example.owners[0].id();
    for (at, text) in (1..).zip(&corpus) {
        let missing = Some(Missing { code: MissingCode::NoAnswer, why: text.clone() });
        let (owners, _) =
            covey_ledger::document::Held::new(vec![Participation { owner, missing }], 16_384);
        let body = RoundClosed {
            round: last.round + at,
            outcome: RoundOutcome::Abandoned,
            reason: Some(text.clone()),
            invited: 1,
            joined: 0,
            counted: 0,
            owners,
            faults: vec![SeatFault { holder: 0, fault: text.clone() }],
            model_before: last.model_after,
            model_after: last.model_after,
            published: None,
            metrics: vec![Metric {
                name: text.clone(),
                by: MeasuredBy::Coordinator,
                millionths: 1,
            }],
            phases_ms: vec![PhaseSpan { phase: text.clone(), ms: 1 }],
            traffic: None,
            ..last.clone()
        };
        example.write(body).expect("an abandoned round");
    }
    for texts in corpus.chunks(40) {
        let change = Change::Budget(Budget { run: run_id, pool_micro: 1 });
        let proposal = Proposal { change, why: texts.join("\n") };
        let signed = example.say(&example.owners[1], Says::Proposal(proposal));
        example.write(signed.into_body()).expect("a proposal");
    }
    let ended = RunEnded {
        run: run_id,
        round: last.round + corpus.len() as u32,
        how: Ended::Stopped,
        why: corpus.join("\n"),
        model: last.model_after,
    };
    example.write(ended).expect("the end");
    example
}

async fn get(served: &Arc<Served>, path: &str) -> String {
    let request = Request::builder().uri(path).header("accept", "text/html");
    let request = request.body(Body::empty()).expect("a request");
    let response = router(served.clone()).oneshot(request).await.expect("an answer");
    let bytes = to_bytes(response.into_body(), 64 << 20).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Tags that the templates and charts write.
const TAGS: &str = "html head meta title link script body a header div svg circle path span nav ul li form label \
    input button section p details summary main h1 h2 dl dt dd table caption thead tbody tr th td figure figcaption \
    strong pre code time desc line rect text footer select option textarea noscript";

/// Attributes that they write.
const ATTRIBUTES: &str = "lang charset name content rel href type src class id aria-label aria-hidden aria-current \
    focusable viewBox cx cy r d role action method for placeholder autocomplete spellcheck maxlength tabindex data-keys \
    data-size data-entries data-credits data-evidence data-before data-whole hidden title scope colspan datetime \
    data-claim data-value data-live aria-live x1 y1 x2 y2 x y width height text-anchor value rows selected";

/// Every tag of a document with its attributes, as a browser reads them.
fn tags(html: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if !rest.starts_with(|first: char| first.is_ascii_alphabetic() || "/!?".contains(first)) {
            continue;
        }
        let name: String =
            rest.chars().take_while(|one| !one.is_whitespace() && *one != '>').collect();
        rest = &rest[name.len()..];
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let end = rest
                .find(|one: char| one.is_whitespace() || "=>".contains(one))
                .expect("a tag ends");
            let attribute = rest[..end].to_owned();
            rest = &rest[end..];
            let mut value = String::new();
            if let Some(after) = rest.strip_prefix('=') {
                let inner = after.strip_prefix('"').expect("values are in double quotes");
                let end = inner.find('"').expect("quotes are closed");
                value = inner[..end].to_owned();
                rest = &inner[end + 1..];
            }
            attributes.push((attribute, value));
        }
        found.push((name, attributes));
    }
    found
}

fn check(html: &str, path: &str) {
    let (known, allowed): (Vec<_>, Vec<_>) =
        (TAGS.split_whitespace().collect(), ATTRIBUTES.split_whitespace().collect());
    for (name, attributes) in tags(html) {
        let bare = name.trim_start_matches('/').trim_end_matches('/');
        assert!(known.contains(&bare) || name == "!doctype", "{path}: <{name}");
        for (attribute, value) in &attributes {
            let attribute = attribute.trim_end_matches('/');
            assert!(
                attribute.is_empty() || allowed.contains(&attribute),
                "{path}: <{name} {attribute}"
            );
            if ["href", "src", "action"].contains(&attribute) {
                assert!(
                    value.starts_with(['/', '#']) && !value.starts_with("//"),
                    "{path}: {attribute}={value}"
                );
            }
        }
        if name == "script" {
            let (_, source) = attributes.iter().find(|(name, _)| name == "src").expect("a source");
            assert!(source.starts_with("/assets/"), "{path}: {source}");
        }
    }
}

#[tokio::test]
async fn no_string_of_two_hundred_becomes_markup_on_any_page() {
    let corpus = corpus();
    assert_eq!(corpus.len(), 200);
    let example = evil();
    let served = Arc::new(Served::of(&example));
    let mut live = at_hand(&support::example(1));
    live.name = corpus[0].clone();
    live.phase = corpus[51].clone();
    live.waiting_for = corpus[102].clone();
    served.live.send_replace(live);
    let mut shown = 0;
    for path in addresses(&example.book) {
        let html = get(&served, &path).await;
        check(&html, &path);
        shown += html.matches("alert(1)").count();
    }
    assert!(shown > 1000, "the strings are shown: {shown}");
}

#[tokio::test]
async fn no_string_of_two_hundred_in_an_address_becomes_markup() {
    let example = example(1);
    let served = Arc::new(Served::of(&example));
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let entry = example.book.settlements().next().expect("credits").entry;
    for text in corpus() {
        let text = encode(&text);
        for path in [
            format!("/search?q={text}"),
            format!("/runs/{text}"),
            format!("/members/{text}"),
            format!("/entries/{text}"),
            format!("/entries/{entry}?owner={text}"),
            format!("/runs/compare?ids={text}"),
            format!("/credits?epoch={text}"),
            format!("/ledger?kind={text}&before=9"),
            format!(
                "/disputes/new?entry={entry}&owner=clinic-1&remedy=pay&value={text}&why={text}"
            ),
            format!("/disputes/new?entry={entry}&owner={text}&remedy={text}&value=1&why={text}"),
        ] {
            check(&get(&served, &path).await, &path);
        }
    }
}
