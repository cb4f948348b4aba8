//! A report as one HTML page: inline style and charts, nothing to load, nothing that runs.
//!
//! Templates escape what they are given, and texts of a ledger come as [`Foreign`](super::escape::Foreign). It must
//! never pass either as `PreEscaped`; the content security policy in the head holds if it ever does.

use maud::{Markup, PreEscaped, html};

use super::document::{CLAIMED, Cell, Column, Document, Part, Section, State, Table, Verdict};

pub(super) fn page(document: &Document) -> String {
    let page = html! {
        (PreEscaped("<!doctype html>\n"))
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (document.title) " · Tollgate" } "\n"
                style { "\n" (PreEscaped(STYLE)) }
            } "\n"
            body {
                header {
                    p.brand { "Tollgate · audit report" }
                    h1 { (document.title) } "\n"
                    dl.facts {
                        @for (label, value) in &document.facts { div { dt { (label) } dd { (cell(value)) } } "\n" }
                    }
                } "\n"
                main {
                    (verdict(&document.verdict)) "\n"
                    @if !document.figures.is_empty() {
                        dl.figures {
                            @for figure in &document.figures {
                                div { dt { (figure.label) } dd.value { (figure.value) } dd.note { (figure.note) } } "\n"
                            }
                        }
                    }
                    @for (place, content) in document.sections.iter().enumerate() { (section(content, place)) "\n" }
                }
            }
        } "\n"
    };
    page.into_string()
}

fn verdict(verdict: &Verdict) -> Markup {
    let (class, mark) = match verdict.state {
        State::Sound => ("sound", "✓"),
        State::Unsound => ("unsound", "✗"),
        State::Unknown => ("unknown", "?"),
    };
    html! { p.verdict.(class) { span.mark aria-hidden="true" { (mark) } " " strong { (verdict.text) } } }
}

fn section(section: &Section, place: usize) -> Markup {
    html! {
        section aria-labelledby={ "s" (place) } {
            h2 id={ "s" (place) } { (section.heading) } "\n"
            @for text in &section.text { p { (text) } "\n" }
            @for (number, content) in section.parts.iter().enumerate() { (part(content, place, number)) }
        }
    }
}

fn part(part: &Part, section: usize, number: usize) -> Markup {
    html! {
        div.(if part.beside { "beside" } else { "part" }) {
            @if let Some(chart) = &part.chart { (chart.figure(&format!("c{section}-{number}"))) "\n" }
            @match &part.table {
                Some(content) if part.folded => details { summary { "Table: " (content.caption) } (table(content)) },
                Some(content) => (table(content)),
                None => {}
            }
        }
    }
}

/// A table may be wider than a phone: it scrolls by itself, with the keyboard too.
fn table(Table { caption, head, rows }: &Table) -> Markup {
    let class = |column: &Column| column.1.then_some("n");
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) } "\n"
                thead { tr { @for column in head { th scope="col" class=[class(column)] { (column.0) } } } } "\n"
                tbody {
                    @for row in rows {
                        tr {
                            @for (value, column) in row.iter().zip(head) { td class=[class(column)] { (cell(value)) } }
                        } "\n"
                    }
                }
            }
        }
    }
}

fn cell(cell: &Cell) -> Markup {
    html! {
        @match cell {
            Cell::Own(text) if text == "0" => span.zero { "0" },
            Cell::Own(text) => (text),
            Cell::Foreign(text) => code { (text) },
            Cell::Claimed(text) => { code { (text) } (CLAIMED) },
            Cell::List(texts, more) => { @for text in texts { code { (text) } " " } (more) }
        }
    }
}

/// Nothing may load, nothing may run, nothing may be sent.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("page.css");
