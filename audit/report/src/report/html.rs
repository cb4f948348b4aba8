//! A report as one HTML page: inline style and charts, nothing to load, nothing that runs.
//!
//! Every text of a ledger goes through [`html_foreign`]; the content security policy in the head holds if one ever
//! does not.

use super::document::{Cell, Document, Figure, Part, Section, State, Table, Verdict};
use super::escape::{html, html_foreign};

pub(super) fn page(document: &Document<'_>) -> String {
    let title = html(&document.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} · Tollgate</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    );
    page.push_str(&format!(
        "<header>\n<p class=\"brand\">Tollgate · audit report</p>\n<h1>{title}</h1>\n<dl class=\"facts\">\n"
    ));
    for (label, value) in &document.facts {
        page.push_str(&format!("<div><dt>{}</dt><dd>{}</dd></div>\n", html(label), cell(value)));
    }
    page.push_str("</dl>\n</header>\n<main>\n");
    page.push_str(&verdict(&document.verdict));
    if !document.figures.is_empty() {
        page.push_str("<dl class=\"figures\">\n");
        page.extend(document.figures.iter().map(figure));
        page.push_str("</dl>\n");
    }
    for (place, part) in document.sections.iter().enumerate() {
        section(&mut page, part, place);
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn verdict(verdict: &Verdict) -> String {
    let (class, mark) = match verdict.state {
        State::Sound => ("sound", "✓"),
        State::Unsound => ("unsound", "✗"),
        State::Unknown => ("unknown", "?"),
    };
    let text = html(&verdict.text);
    format!(
        "<p class=\"verdict {class}\"><span class=\"mark\" aria-hidden=\"true\">{mark}</span> <strong>{text}</strong></p>\n"
    )
}

fn figure(figure: &Figure) -> String {
    let [label, value, note] = [figure.label, &figure.value, &figure.note].map(html);
    format!("<div><dt>{label}</dt><dd class=\"value\">{value}</dd><dd class=\"note\">{note}</dd></div>\n")
}

fn section(page: &mut String, section: &Section<'_>, place: usize) {
    let heading = html(&section.heading);
    page.push_str(&format!("<section aria-labelledby=\"s{place}\">\n<h2 id=\"s{place}\">{heading}</h2>\n"));
    for text in &section.text {
        page.push_str(&format!("<p>{}</p>\n", html(text)));
    }
    for (number, part) in section.parts.iter().enumerate() {
        self::part(page, part, &format!("c{place}-{number}"));
    }
    page.push_str("</section>\n");
}

fn part(page: &mut String, part: &Part<'_>, id: &str) {
    page.push_str(if part.beside { "<div class=\"beside\">\n" } else { "<div class=\"part\">\n" });
    if let Some(chart) = &part.chart {
        page.push_str(&format!("<figure>\n{}{}</figure>\n", chart.legend(), chart.svg(id)));
    }
    if let Some(table) = &part.table {
        if part.folded {
            page.push_str(&format!("<details>\n<summary>Table: {}</summary>\n", html(&table.caption)));
        }
        self::table(page, table);
        if part.folded {
            page.push_str("</details>\n");
        }
    }
    page.push_str("</div>\n");
}

fn table(page: &mut String, table: &Table) {
    // Tables may be wider than a phone: they scroll by themselves, with the keyboard too.
    let caption = html(&table.caption);
    page.push_str("<div class=\"scroll\" tabindex=\"0\" role=\"region\" ");
    page.push_str(&format!("aria-label=\"{caption}\">\n<table>\n<caption>{caption}</caption>\n<thead><tr>"));
    for (name, is_number) in &table.head {
        page.push_str(&format!("<th scope=\"col\"{}>{}</th>", class(*is_number), html(name)));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for (value, (_, is_number)) in row.iter().zip(&table.head) {
            page.push_str(&format!("<td{}>{}</td>", class(*is_number), cell(value)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
}

fn class(is_number: bool) -> &'static str {
    if is_number { " class=\"n\"" } else { "" }
}

fn cell(cell: &Cell) -> String {
    let code = |text: &String| format!("<code>{}</code>", html_foreign(text));
    match cell {
        Cell::Own(text) if text == "0" => "<span class=\"zero\">0</span>".to_owned(),
        Cell::Own(text) => html(text),
        Cell::Foreign(text) => code(text),
        Cell::List(texts, more) => {
            let mut shown: Vec<_> = texts.iter().map(code).collect();
            shown.extend(Some(html(more)).filter(|more| !more.is_empty()));
            shown.join(" ")
        }
    }
}

/// Nothing may load, nothing may run, nothing may be sent.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("page.css");
