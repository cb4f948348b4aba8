//! csv-stats: a file of any length in little memory, under caps that only the grant can raise.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use serde_json::{Value, json};
use tollgate::CallError;
use tollgate_audit::Kind;
use tollgate_capability::{Cap, PathFault, Reason};
use tollgate_workspace::expect::Denied;
use tollgate_workspace::{Lab, guest};

use crate::{OPEN_AT, assert_sees_no_folder, refusal, without_grants};

const FRUIT: &str = include_str!("../../example-tools/csv-stats/samples/fruit.csv");
const DATA: &[&str] = &["fs:/data=data:read"];
/// What the README tells an operator to grant.
const RAISED: &[&str] = &["fs:/data=data:read", "limit:fuel=50000000000", "limit:deadline=60s"];

/// Written by the test that streams: many times what the tool may keep.
const MEBIBYTES: u64 = 210;

fn described(path: &str) -> String {
    json!({ "path": path }).to_string()
}

#[test]
fn it_describes_the_columns_of_a_file() {
    let mut lab = Lab::new();
    lab.file("data/fruit.csv", FRUIT);
    let tool = lab.tool(guest("csv-stats"), DATA);
    let table = lab.answer(&tool, "describe", &described("/data/fruit.csv"));
    assert_eq!(table["rows"], 8);
    let names: Vec<_> = table["columns"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(names, ["fruit", "origin", "grams", "price"]);
    let grams = &table["columns"][2];
    assert_eq!(
        (&grams["empty"], &grams["numbers"]["count"], &grams["numbers"]["max"]),
        (&json!(1), &json!(7), &json!(1800.0))
    );
    let deviation = grams["numbers"]["standard_deviation"].as_f64().unwrap();
    assert!((deviation - 635.589_227_934).abs() < 1e-6, "{deviation}");
    let origin = json!({ "count": 8, "distinct": 5, "shortest": 4, "longest": 10 });
    assert_eq!(table["columns"][1]["texts"], origin);
    assert_eq!(lab.verified().count(Kind::Violation), 0);
}

#[test]
fn errors_say_where() {
    let mut lab = Lab::new();
    lab.file("data/short.csv", "a;b\n1;2\n3\n");
    let tool = lab.tool(guest("csv-stats"), DATA);
    let invalid = refusal(&mut lab, &tool, "describe", &json!({ "path": "/data/short.csv", "delimiter": ";" }));
    assert_eq!(invalid.0, "invalid-csv");
    assert!(invalid.1.starts_with("/data/short.csv, line 3: 1 fields"), "{}", invalid.1);
    assert_eq!(refusal(&mut lab, &tool, "describe", &json!({ "path": "/data/no.csv" })).0, "not-found");
    let failure = lab.failure(&tool, "describe", r#"{"path": "/data/short.csv", "delimiter": ";;"}"#);
    assert!(matches!(failure.error, CallError::Rejected(_)), "{failure:?}");
}

#[test]
fn only_the_granted_folder_is_read() {
    let grant = "[tools.csv-stats]\nfs.\"/data\" = { host = \"PATH\", access = [\"read\"] }";
    assert_eq!(without_grants("csv-stats").toml_lines(), grant);
    let mut lab = Lab::new();
    lab.file("data/fruit.csv", FRUIT);
    lab.file("salaries.csv", "name,euros\nAda,1\n");
    let tool = lab.tool(guest("csv-stats"), DATA);
    let beneath = Denied { function: OPEN_AT, rule: "fs:/data:beneath", reason: Reason::Path(PathFault::Escapes) };
    lab.killed(&tool, "describe", &described("/data/../salaries.csv"), beneath);
    let mut set = lab.set(guest("csv-stats"), DATA);
    set.fs.clear();
    let tool = lab.tool_with(guest("csv-stats"), set).unwrap();
    assert_sees_no_folder(&mut lab, &tool, "describe", &json!({ "path": "/data/fruit.csv" }));
}

/// A row is held as a whole: one without an end is refused before it fills the memory.
#[test]
fn a_quote_that_never_ends_takes_no_memory() {
    let mut lab = Lab::new();
    lab.file("data/quote.csv", &format!("a,b\n1,\"{}", "x".repeat(20 << 20)));
    let tool = lab.tool(guest("csv-stats"), DATA);
    let failure = lab.failure(&tool, "describe", &described("/data/quote.csv"));
    let CallError::Tool { code, message } = &failure.error else { panic!("{failure:?}") };
    assert_eq!(code, "invalid-csv");
    assert_eq!(message, "/data/quote.csv, line 2: a row of over 1048576 bytes; is a quote not closed?");
    assert!(failure.usage.memory_peak_bytes < 4 << 20, "{:?}", failure.usage);
}

/// What is in memory at a time is bounded by the cap as well.
#[test]
fn less_memory_than_it_takes_ends_the_call() {
    let mut lab = Lab::new();
    lab.file("data/fruit.csv", FRUIT);
    let tool = lab.tool(guest("csv-stats"), &["fs:/data=data:read", "limit:memory=2MiB"]);
    let failure = lab.failure(&tool, "describe", &described("/data/fruit.csv"));
    let CallError::Cap(hit) = &failure.error else { panic!("{failure:?}") };
    assert_eq!((hit.cap, hit.limit), (Cap::Memory, 2 << 20));
    lab.verified();
}

#[test]
fn a_large_file_takes_as_little_memory_as_a_small_one() {
    let mut lab = Lab::new();
    let rows = write_table(&lab.folder("data").join("large.csv"), MEBIBYTES << 20).unwrap();

    let tool = lab.tool(guest("csv-stats"), DATA);
    let failure = lab.failure(&tool, "describe", &described("/data/large.csv"));
    let CallError::Cap(hit) = &failure.error else { panic!("{failure:?}") };
    assert_eq!((hit.cap, hit.limit), (Cap::Fuel, 1_000_000_000), "the manifest alone raises nothing");

    let tool = lab.tool(guest("csv-stats"), RAISED);
    let answer = lab.call(&tool, "describe", &described("/data/large.csv")).unwrap();
    let table: Value = serde_json::from_str(&answer.output).unwrap();
    assert_large(&table, rows);
    let usage = answer.usage;
    println!("{MEBIBYTES} MiB, {rows} rows: {usage:?}");
    assert_eq!(usage.memory_cap_bytes, 16 << 20);
    assert!(usage.memory_peak_bytes < 4 << 20, "{usage:?}");
    lab.verified();
}

/// Columns: the row's number, a number from a cycle, a word of ten, a text that is different in each row, a field that
/// every third row leaves empty.
fn write_table(path: &Path, bytes: u64) -> io::Result<u64> {
    const WORDS: [&str; 10] =
        ["alder", "beech", "cedar", "elder", "hazel", "larch", "maple", "rowan", "walnut", "willow"];
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(file, "row,cycle,tree,note,third")?;
    let (mut rows, mut written) = (0_u64, 0);
    while written < bytes {
        let word = WORDS[usize::try_from(rows % 10).unwrap()];
        let third = if rows % 3 == 0 { "" } else { "0.5" };
        let line = format!("{rows},{}.25,{word},\"note {rows}, with a comma\",{third}\n", rows % 1000);
        file.write_all(line.as_bytes())?;
        written += u64::try_from(line.len()).unwrap();
        rows += 1;
    }
    file.flush()?;
    Ok(rows)
}

/// The figures that follow from how the table was written.
fn assert_large(table: &Value, rows: u64) {
    assert_eq!(table["rows"], rows);
    let column = |index: usize| &table["columns"][index];
    assert_eq!(column(0)["numbers"]["max"].as_f64(), Some((rows - 1) as f64));
    let mean = column(0)["numbers"]["mean"].as_f64().unwrap();
    assert!((mean - (rows - 1) as f64 / 2.0).abs() < 1e-3, "{mean}");
    assert_eq!((&column(1)["numbers"]["min"], &column(1)["numbers"]["max"]), (&json!(0.25), &json!(999.25)));
    assert_eq!(column(2)["texts"], json!({ "count": rows, "distinct": 10, "shortest": 5, "longest": 6 }));
    assert_eq!(column(3)["texts"]["distinct"], 1000, "1000 stands for any number from there on");
    assert_eq!(column(4)["empty"], rows.div_ceil(3));
    assert_eq!(column(4)["numbers"]["standard_deviation"], 0.0);
}
