//! A report as GitHub-flavoured Markdown.
//!
//! Texts from the ledger stand in code spans in tables, and nowhere else.

use std::fmt::Write as _;

use super::document::{CLAIMED, Cell, Column, Document, Section, State, Table};
use super::escape::Foreign;

pub(super) fn page(document: &Document) -> String {
    let mut page = format!("# {}\n\n", document.title);
    let mark = match document.verdict.state {
        State::Sound => "✔",
        State::Unsound => "✘",
        State::Unknown => "?",
    };
    page.push_str(&format!("> **{mark} {}**\n\n", document.verdict.text));
    let facts = document.facts.iter().map(|(label, value)| vec![Cell::Own((*label).to_owned()), value.clone()]);
    table(&mut page, &[("About", false), ("", false)], &facts.collect::<Vec<_>>());
    if !document.figures.is_empty() {
        let figures = document.figures.iter();
        let rows =
            figures.map(|figure| [figure.label, &figure.value, &figure.note].map(|text| Cell::Own(text.to_owned())));
        let rows: Vec<_> = rows.map(Vec::from).collect();
        table(&mut page, &[("Figure", false), ("Value", true), ("", false)], &rows);
    }
    document.sections.iter().for_each(|part| section(&mut page, part));
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn section(page: &mut String, section: &Section) {
    page.push_str(&format!("## {}\n\n", section.heading));
    for text in &section.text {
        page.push_str(&format!("{text}\n\n"));
    }
    for part in &section.parts {
        let Some(Table { caption, head, rows }) = &part.table else { continue };
        if part.folded {
            page.push_str(&format!("<details><summary>{caption}</summary>\n\n"));
            table(page, head, rows);
            page.push_str("</details>\n\n");
        } else {
            page.push_str(&format!("**{caption}**\n\n"));
            table(page, head, rows);
        }
    }
}

fn table(page: &mut String, head: &[Column], rows: &[Vec<Cell>]) {
    let names: Vec<_> = head.iter().map(|(name, _)| *name).collect();
    let rules: Vec<_> = head.iter().map(|(_, is_number)| if *is_number { "---:" } else { "---" }).collect();
    // Writing to a String cannot fail.
    write!(page, "| {} |\n| {} |\n", names.join(" | "), rules.join(" | ")).unwrap_or_default();
    for row in rows {
        let cells: Vec<_> = row.iter().map(cell).collect();
        writeln!(page, "| {} |", cells.join(" | ")).unwrap_or_default();
    }
    page.push('\n');
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Own(text) => text.clone(),
        Cell::Foreign(text) => text.markdown_code(),
        Cell::Claimed(text) => format!("{}{CLAIMED}", text.markdown_code()),
        Cell::List(texts, more) => {
            let mut shown: Vec<_> = texts.iter().map(Foreign::markdown_code).collect();
            shown.extend(Some(more.clone()).filter(|more| !more.is_empty()));
            shown.join(", ")
        }
    }
}
