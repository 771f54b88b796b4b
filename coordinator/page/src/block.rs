//! What a page is made of. A page's view gives blocks, and the templates write them: there is one place
//! where text becomes HTML.

use crate::chart::Figure;

/// Letters of a line of a table.
const LINE_LETTERS_MAX: usize = 44;

/// A part of a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Block {
    /// A heading of a section, and its name in addresses.
    Heading(String, &'static str),
    /// A few numbers, large.
    Highlights(Vec<Highlight>),
    /// Names and values.
    Facts(Vec<(String, Vec<Cell>)>),
    /// Rows and columns.
    Table(Table),
    /// A chart with its numbers.
    Figure(Figure),
    /// A paragraph.
    Text(Vec<Cell>),
    /// A list of points.
    Points(Vec<Vec<Cell>>),
    /// Something that must not be overlooked.
    Notice(Tone, Vec<Cell>),
    /// Lines to copy (a command, a plan), and what they are.
    Code(&'static str, String),
    /// What `live.js` writes into.
    Live(Box<LiveLine>),
    /// Something to fill in; it is answered by a page.
    Form(Form),
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Page {
    pub(crate) title: String,
    /// Pages above this one.
    pub(crate) trail: Vec<Cell>,
    /// The page in a sentence.
    pub(crate) lead: Vec<Cell>,
    pub(crate) blocks: Vec<Block>,
    /// What the reader's browser verifies beside the head.
    pub(crate) verify: Option<Verify>,
    /// What the page is as a table, for programs; the first of its tables where it is none.
    pub(crate) csv: Option<Table>,
}

impl Page {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Whether it shows the run at hand.
    pub(crate) fn is_live(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, Block::Live(_)))
    }

    pub(crate) const fn verify(&self) -> Option<&Verify> {
        self.verify.as_ref()
    }

    pub(crate) fn add(&mut self, block: Block) {
        self.blocks.push(block);
    }

    pub(crate) fn heading(&mut self, text: impl Into<String>, id: &'static str) {
        self.add(Block::Heading(text.into(), id));
    }

    pub(crate) fn text(&mut self, text: impl Into<String>) {
        self.add(Block::Text(vec![Cell::text(text)]));
    }

    /// The table that programs get; none where the page has no table of its own.
    pub(crate) fn table(&self) -> Option<&Table> {
        let first = || {
            self.blocks.iter().find_map(|block| match block {
                Block::Table(table) => Some(table),
                _ => None,
            })
        };
        let of_figure = || {
            self.blocks.iter().find_map(|block| match block {
                Block::Figure(figure) => Some(&figure.table),
                _ => None,
            })
        };
        self.csv.as_ref().or_else(first).or_else(of_figure)
    }
}

/// The run at hand, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveLine {
    pub(crate) href: String,
    pub(crate) words: crate::live::Words,
}

/// A number in large.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Highlight {
    pub(crate) label: String,
    pub(crate) value: String,
    pub(crate) note: String,
    pub(crate) href: String,
}

/// How something is meant; always with a word beside its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// In order.
    Good,
    /// To be known.
    Note,
    /// Something is open.
    Warn,
}

impl Tone {
    /// Name of its class.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Warn => "warn",
        }
    }
}

/// A piece of text, perhaps with a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// The whole of what the text is short for; empty where it is not.
    pub(crate) title: String,
    pub(crate) href: String,
    /// `code`, `badge good`, ...; empty for plain text.
    pub(crate) class: &'static str,
    /// What programs read, where it is not the text.
    pub(crate) plain: Option<String>,
    /// Key and value of what the reader's browser compares with its own result.
    pub(crate) claim: Option<(String, String)>,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(crate) fn link(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { text: text.into(), href: href.into(), ..Self::default() }
    }

    /// A key or digest: short for people, whole for programs.
    pub(crate) fn hex(hex: &str) -> Self {
        Self { title: hex.to_owned(), class: "code", ..Self::text(crate::text::short(hex)) }
            .read_as(hex)
    }

    /// A digest in full.
    pub(crate) fn whole_hex(hex: &str) -> Self {
        Self { class: "code whole", ..Self::text(hex) }
    }

    /// A word with a tone.
    pub(crate) fn badge(tone: Tone, text: impl Into<String>) -> Self {
        let class = match tone {
            Tone::Good => "badge good",
            Tone::Note => "badge note",
            Tone::Warn => "badge warn",
        };
        Self { class, ..Self::text(text) }
    }

    pub(crate) fn credits(micro: impl Into<i128>) -> Self {
        let micro = micro.into();
        Self::text(crate::text::credits(micro)).read_as(micro.to_string())
    }

    pub(crate) fn number(value: impl Into<i128>) -> Self {
        let value = value.into();
        Self::text(crate::text::number(value)).read_as(value.to_string())
    }

    pub(crate) fn decimal(value: f64, digits: usize) -> Self {
        Self::text(crate::text::decimal(value, digits)).read_as(value.to_string())
    }

    pub(crate) fn time(ms: u64) -> Self {
        Self { class: "time", ..Self::text(crate::text::time(ms)) }
            .read_as(crate::text::rfc3339(ms))
    }

    /// Nothing to say.
    pub(crate) fn none() -> Self {
        Self { class: "none", ..Self::text("\u{2013}") }.read_as("")
    }

    /// An entry of the ledger.
    pub(crate) fn entry(index: u64) -> Self {
        Self::link(format!("#{}", crate::text::number(index)), format!("/entries/{index}"))
            .read_as(index.to_string())
    }

    pub(crate) fn read_as(mut self, plain: impl Into<String>) -> Self {
        self.plain = Some(plain.into());
        self
    }

    pub(crate) fn to(mut self, href: impl Into<String>) -> Self {
        self.href = href.into();
        self
    }

    pub(crate) fn claims(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.claim = Some((key.into(), value.into()));
        self
    }

    /// What programs read.
    pub(crate) fn value(&self) -> &str {
        self.plain.as_deref().unwrap_or(&self.text)
    }

    /// Whether it needs more than one line of a table.
    pub(crate) fn is_long(&self) -> bool {
        self.text.chars().count() > LINE_LETTERS_MAX
    }

    pub(crate) fn is_time(&self) -> bool {
        self.class == "time"
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// For people.
    pub(crate) label: &'static str,
    /// For programs.
    pub(crate) name: &'static str,
    /// Whether it holds numbers, aligned to the right.
    pub(crate) is_number: bool,
}

impl Column {
    pub(crate) const fn text(label: &'static str, name: &'static str) -> Self {
        Self { label, name, is_number: false }
    }

    pub(crate) const fn number(label: &'static str, name: &'static str) -> Self {
        Self { label, name, is_number: true }
    }
}

/// Rows and columns, with a caption.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// What is said where there are no rows.
    pub(crate) empty: String,
}

impl Table {
    pub(crate) fn new(caption: impl Into<String>, columns: Vec<Column>) -> Self {
        let empty = "Nothing yet.".to_owned();
        Self { caption: caption.into(), columns, rows: Vec::new(), empty }
    }

    pub(crate) fn or(mut self, empty: impl Into<String>) -> Self {
        self.empty = empty.into();
        self
    }

    pub(crate) fn with(mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// Each row's cells with their columns.
    pub(crate) fn cells<'a>(
        &'a self,
        row: &'a [Cell],
    ) -> impl Iterator<Item = (&'a Column, &'a Cell)> {
        self.columns.iter().zip(row)
    }
}

/// What `verify.js` checks beside the head: given as data of an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verify {
    /// Entries that this page stands on.
    pub(crate) entries: Vec<u64>,
    /// The credits that are computed again.
    pub(crate) credits: Option<VerifyCredits>,
    /// The entry of the payout whose file is checked.
    pub(crate) payout: Option<u64>,
    /// Whether all of the ledger is verified.
    pub(crate) is_whole: bool,
}

/// What credits are computed again from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VerifyCredits {
    /// The entry of the settlement.
    pub(crate) entry: u64,
    /// The entries of its evidence.
    pub(crate) evidence: Vec<u64>,
    /// The entry of the settlement before it.
    pub(crate) before: Option<u64>,
}

impl Verify {
    pub(crate) fn entries(&self) -> String {
        joined(&self.entries)
    }
}

impl VerifyCredits {
    pub(crate) fn evidence(&self) -> String {
        joined(&self.evidence)
    }
}

fn joined(numbers: &[u64]) -> String {
    let texts: Vec<_> = numbers.iter().map(u64::to_string).collect();
    texts.join(",")
}

/// A form. It is sent by GET: nothing is changed by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) action: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) fields: Vec<Field>,
}

/// A field of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) value: String,
    pub(crate) hint: &'static str,
    pub(crate) is_long: bool,
    /// What can be chosen: value and text; anything where there are none.
    pub(crate) options: Vec<(String, String)>,
}
