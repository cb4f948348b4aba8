//! The tables of docs/wasi.md: each row of them says in what the gate differs, and which tests hold it.

/// A row of a table.
#[derive(Debug)]
pub struct Row {
    /// The first cell.
    pub request: &'static str,
    /// The names of the tests in the last cell.
    pub tests: Vec<&'static str>,
}

/// Every row of every table.
pub fn rows() -> Vec<Row> {
    let lines: Vec<_> = include_str!("../../docs/wasi.md").lines().collect();
    let is_row = |lines: &&[&str]| !lines[0].starts_with("|---") && !lines[1].starts_with("|---");
    let tables = lines.windows(2).filter(|lines| lines[0].starts_with('|')).filter(is_row);
    tables.map(|lines| row(lines[0])).collect()
}

fn row(line: &'static str) -> Row {
    let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
    let tests = cells[cells.len() - 1].split(", ").map(|name| name.trim_matches('`'));
    Row { request: cells[0], tests: tests.collect() }
}

/// Asserts that the first cell of a row says this.
pub fn assert_documented(request: &str) {
    assert!(rows().iter().any(|row| row.request == request), "docs/wasi.md has no row {request:?}");
}
