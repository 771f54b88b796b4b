//! A page without a table of its own as names and values, in its order: what programs get of it as CSV.

use crate::block::{Block, Cell, Column, Page, Table};

/// Names and values.
pub(crate) fn table(page: &Page) -> Table {
    let mut rows = vec![row("title", page.title.clone())];
    if !page.lead.is_empty() {
        rows.push(row("lead", words(&page.lead)));
    }
    rows.extend(page.blocks.iter().flat_map(of_block));
    let columns = vec![Column::text("Field", "field"), Column::text("Value", "value")];
    Table::new(page.title.clone(), columns).with(rows)
}

fn row(name: &str, value: String) -> Vec<Cell> {
    vec![Cell::text(name), Cell::text(value)]
}

/// Cells as one text, as programs read them.
fn words(cells: &[Cell]) -> String {
    cells.iter().map(Cell::value).collect()
}

fn of_block(block: &Block) -> Vec<Vec<Cell>> {
    match block {
        Block::Heading(text, _) => vec![row("heading", text.clone())],
        Block::Highlights(all) => {
            all.iter().map(|one| row(&one.label, one.value.clone())).collect()
        }
        Block::Facts(facts) => facts.iter().map(|(name, cells)| row(name, words(cells))).collect(),
        Block::Text(cells) => vec![row("text", words(cells))],
        Block::Points(points) => points.iter().map(|cells| row("point", words(cells))).collect(),
        Block::Notice(_, cells) => vec![row("notice", words(cells))],
        Block::Code(label, text) => vec![row(label, text.clone())],
        Block::Live(live) => {
            let said = &live.words;
            let parts = [&said.run, &said.round, &said.phase, &said.waiting, &said.deadline];
            vec![row("live", parts.map(String::as_str).join(", "))]
        }
        Block::Form(form) => {
            form.fields.iter().map(|field| row(field.name, field.value.clone())).collect()
        }
        // A page that has one of these is that table.
        Block::Table(_) | Block::Figure(_) => Vec::new(),
    }
}
