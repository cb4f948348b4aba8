//! What is installed and cannot be used as it is: told by name, with what helps, by commands and by a daemon, while the others work. And
//! what an update says of it.

use std::fs;

use serde_json::{Value, json};
use tollgate_audit::Digest;
use tollgate_testing::rpc::Rpc;

use crate::desk::Desk;
use crate::serve::{POLICY, Served, desk};

/// The tools that a client is told of, and those that it is told it cannot call, with why.
fn told(client: &mut Rpc) -> (Vec<String>, Vec<(String, String)>) {
    let answer = client.ask("tools", &json!({}));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let tools = answer["result"]["tools"].as_array().unwrap().iter().map(|tool| text(&tool["tool"])).collect();
    let unavailable = answer["result"]["unavailable"].as_array().unwrap().iter();
    (tools, unavailable.map(|tool| (text(&tool["tool"]), text(&tool["why"]))).collect())
}

/// After a change of engine or CPU no worker takes the code: nobody is offered a tool that cannot be called.
#[test]
fn a_tool_whose_code_is_of_another_engine_is_in_no_list_until_it_is_compiled_again() {
    let desk = desk(&["word-count", "json-query"], POLICY);
    let artifact = desk.stored("json-query").artifact;
    let whole = fs::read(&artifact).unwrap();
    // The engine's part of the head; a cut; another version of the form.
    let mut of_another = whole.clone();
    of_another[40] ^= 1;
    let older = [b"TGARTFC1", &whole[8..]].concat();
    let mut said = Vec::new();
    for (bytes, why) in [
        (&of_another[..], "it was compiled by another version of Tollgate or for another CPU"),
        (&whole[..whole.len() - 1], "it is no artifact of Tollgate"),
        (&older, "it was stored by another version of Tollgate"),
    ] {
        fs::write(&artifact, bytes).unwrap();
        let served = Served::start(&desk);
        let mut client = Rpc::connect(served.socket("local"));
        for _again in 0..2 {
            let (tools, unavailable) = told(&mut client);
            assert_eq!((tools, unavailable.len()), (vec!["word-count".to_owned()], 1), "{why}");
            let (tool, told) = &unavailable[0];
            assert!(tool == "json-query" && told.contains("`tollgate doctor --fix` compiles it again"), "{told}");
            assert!(told.contains(why), "{told}");
        }
        let offered = client.ask("call", &json!({ "name": "json-query_query", "arguments": {} }));
        assert_eq!(offered["error"]["data"]["error"]["kind"], "unknown-tool", "{offered}");
        if bytes == of_another {
            let fixed = desk.run(&["doctor", "--fix"]);
            // A head that was changed by hand verifies no more; that of another engine does.
            fixed.says(&["compiled again: json-query"]);
            let (tools, unavailable) = told(&mut client);
            assert_eq!((tools, unavailable.len()), (vec!["json-query".to_owned(), "word-count".to_owned()], 0));
        }
        said.push(served.stop());
    }
    for said in said {
        assert_eq!(said.matches("the tool `json-query` is in no list: ").count(), 1, "{said}");
    }
    // One that was listed before is in no list any more once a call has met the code.
    fs::write(&artifact, &whole).unwrap();
    let served = Served::start(&desk);
    let mut client = Rpc::connect(served.socket("local"));
    assert_eq!(told(&mut client).0, ["json-query", "word-count"]);
    fs::write(&artifact, &of_another).unwrap();
    let called = client.call("json-query", "query", &json!({}));
    assert!(called.to_string().contains("`tollgate doctor --fix` compiles it again"), "{called}");
    assert_eq!(told(&mut client).0, ["word-count"]);
}

#[test]
fn a_tool_of_the_layout_before_is_told_as_one_that_doctor_moves() {
    let agents = "[agents.team]\nis = { socket = true }\ntools.word-count = {}\ntools.older = {}\ntools.later = {}\n";
    let desk = desk(&["word-count"], &format!("{POLICY}{agents}"));
    desk.file("tollgate-home/tools/older/component.wasm", "x");
    let served = Served::start(&desk);
    let status = desk.run(&["status"]);
    let lines =
        "          not installed: later\n          of an older version, moved by `tollgate doctor --fix`: older\n";
    assert!(status.stdout.contains(lines), "{status:?}");
    let agent = &desk.run(&["status", "--json"]).report()["agents"][0];
    assert_eq!((&agent["not_installed"], &agent["to_move"]), (&json!(["later"]), &json!(["older"])));
    let mut client = Rpc::connect(served.socket("team"));
    let (tools, unavailable) = told(&mut client);
    assert_eq!(tools, ["word-count"]);
    let why = |tool: &str| &unavailable.iter().find(|(name, _)| name == tool).unwrap().1;
    assert_eq!(why("later"), "no tool `later` is installed");
    // What helps is for the operator, whom an agent cannot be.
    let short = "the tool cannot be used now, and the operator was told why";
    assert_eq!(why("older"), short);
    let called = client.call("older", "run", &json!({}));
    assert_eq!(called["error"]["message"], short, "{called}");
    let said = served.stop();
    assert!(said.contains("`tollgate doctor --fix` moves it"), "{said}");
    assert_eq!(said.matches("may call tools that are not installed: later\n").count(), 1, "{said}");
    let moves =
        "may call tools that an older version of Tollgate installed, and `tollgate doctor --fix` moves: older\n";
    assert_eq!(said.matches(moves).count(), 1, "{said}");
}

/// A folder, a link that leads nowhere, or whatever else has a name of the store's.
#[test]
fn what_is_no_file_in_the_store_is_told_by_its_tool_and_the_others_work() {
    let desk = desk(&["word-count", "json-query"], POLICY);
    let query = ["run", "json-query", "--op", "query", "--input", r#"{"document": {"a": 1}, "pointer": "/a"}"#];
    let stored = desk.stored("word-count");
    let works = || assert_eq!(desk.run(&query).json(), json!({ "value": 1 }));
    // In the place of its record.
    let aside = desk.path("aside");
    fs::rename(&stored.record, &aside).unwrap();
    desk.file("tollgate-home/tools/word-count.json/of-somebody", "");
    let words = ["word-count.json` has the name of its record, and is no file", "move it elsewhere"];
    for args in [&["show", "word-count"][..], &["install", "tools/word-count.wasm"], &["remove", "word-count"]] {
        desk.run(args).fails(2, &words);
    }
    let listed = desk.run(&["list", "--json"]).json();
    assert!(listed[1]["name"] == "word-count" && listed[1]["damaged"].is_string(), "{listed}");
    let doctor = desk.run(&["doctor"]);
    assert!(doctor.code == 2 && words.iter().all(|word| doctor.stdout.contains(word)), "{doctor:?}");
    assert!(doctor.stdout.contains("  yes  1 whole\n"), "{doctor:?}");
    let served = Served::start(&desk);
    let (tools, unavailable) = told(&mut Rpc::connect(served.socket("local")));
    assert!(tools == ["json-query"] && unavailable[0].1.contains("`tollgate doctor` says more"), "{unavailable:?}");
    assert!(served.stop().contains("the tool `word-count` is in no list: "));
    works();
    assert!(stored.record.join("of-somebody").exists(), "nobody has taken it away");
    fs::remove_dir_all(&stored.record).unwrap();
    fs::rename(&aside, &stored.record).unwrap();
    // In the place of each other file.
    for (file, then) in [
        (&stored.component, "tollgate install PATH --name word-count"),
        (&stored.manifest, "tollgate install PATH --name word-count"),
        (&stored.artifact, "tollgate doctor --fix"),
        (&stored.operations, "tollgate doctor --fix"),
    ] {
        fs::rename(file, &aside).unwrap();
        fs::create_dir(file).unwrap();
        let doctor = desk.run(&["doctor"]);
        assert_eq!(doctor.code, 2, "{doctor:?}");
        let shown = file.file_name().unwrap().to_str().unwrap();
        assert!(doctor.stdout.contains(&format!("{shown}` is no file")), "{doctor:?}");
        let help = format!("{shown}` is, and move it elsewhere; then: {then}\n");
        assert!(doctor.stdout.contains(&help), "{doctor:?}");
        works();
        fs::remove_dir(file).unwrap();
        // As it says.
        if then.ends_with("--fix") {
            desk.run(&["doctor", "--fix"]).says(&["compiled again: word-count"]);
        } else {
            assert_eq!(desk.run(&["install", "tools/word-count.wasm", "--name", "word-count"]).code, 0);
        }
        fs::remove_file(&aside).unwrap();
        assert_eq!(desk.run(&["doctor"]).code, 0, "{shown}");
    }
    // In the place of what is no tool's.
    fs::remove_file(desk.path("tollgate-home/tools/.lock")).unwrap();
    fs::create_dir(desk.path("tollgate-home/tools/.lock")).unwrap();
    let doctor = desk.run(&["doctor"]);
    assert!(doctor.code == 2 && doctor.stdout.contains(".lock` has the name of something of Tollgate's"), "{doctor:?}");
    assert_eq!(doctor.stdout.matches("move it elsewhere").count(), 1, "{doctor:?}");
    desk.run(&["remove", "word-count"]).fails(2, &["tools/.lock` is in the way"]);
    works();
}

#[test]
fn an_update_corrects_where_a_tool_comes_from() {
    let desk = Desk::with("json-query");
    assert_eq!(desk.run(&["install", "tools/json-query.wasm"]).code, 0);
    let from = || desk.run(&["show", "json-query", "--json"]).json()["from"].as_str().unwrap().to_owned();
    fs::rename(desk.path("tools"), desk.path("moved")).unwrap();
    desk.run(&["update", "json-query"]).fails(2, &["cannot read `FOLDER/tools/json-query.wasm`"]);
    let updated = desk.run(&["update", "json-query", "moved/json-query.wasm"]);
    assert_eq!(updated.code, 0, "{updated:?}");
    let line =
        "\n  from       FOLDER/moved/json-query.wasm, was FOLDER/tools/json-query.wasm: an update comes from there\n";
    assert!(updated.stdout.contains(" already\n") && updated.stdout.ends_with(line), "{updated:?}");
    assert_eq!(from(), "FOLDER/moved/json-query.wasm");
    let again = desk.run(&["update", "json-query", "moved/json-query.wasm"]);
    assert!(again.code == 0 && again.stdout.ends_with(" already\n"), "{again:?}");
    fs::rename(desk.path("moved"), desk.path("third")).unwrap();
    let told = desk.run(&["update", "json-query", "third/json-query.wasm", "--json"]).json();
    assert_eq!((&told["updated"], &told["from"]), (&json!(false), &json!("FOLDER/third/json-query.wasm")));
    // As it does with a component that is another one.
    let other = [&fs::read(desk.path("third/json-query.wasm")).unwrap()[..], b"\0\x02\x01x"].concat();
    desk.file("fourth/json-query.wasm", other);
    fs::copy(desk.path("third/json-query.toml"), desk.path("fourth/json-query.toml")).unwrap();
    assert_eq!(desk.run(&["update", "json-query", "fourth/json-query.wasm", "--yes"]).code, 0);
    assert_eq!(from(), "FOLDER/fourth/json-query.wasm");
    assert_eq!(desk.run(&["update", "json-query"]).code, 0);
}

#[test]
fn an_update_shows_all_that_a_manifest_says_otherwise() {
    let desk = Desk::with("json-query");
    let manifest = desk.path("tools/json-query.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{text}\n[needs]\nrandom = \"seeded\"\n")).unwrap();
    let installed = desk.run(&["install", "tools/json-query.wasm"]);
    assert_eq!(installed.code, 0, "{installed:?}");
    let description = text.lines().find_map(|line| line.strip_prefix("description = ")).unwrap();
    for (from, to) in [
        ("[tool]", "record = \"every\"\n[tool]"),
        (description, "\"Other.\""),
        ("memory = \"64MiB\"\nfuel = 1_000_000_000", "memory = \"128MiB\""),
        ("seeded", "secure"),
    ] {
        desk.edit("tools/json-query.toml", from, to);
    }
    let asked = desk.run(&["update", "json-query"]);
    assert_eq!(asked.code, 2, "{asked:?}");
    let changes: Vec<&str> = asked.stdout.lines().filter(|line| line.starts_with("  manifest ")).collect();
    assert_eq!(
        changes,
        [
            "  manifest   + limits.memory = 128MiB",
            "  manifest   + needs.random = secure",
            "  manifest   + record = every",
            "  manifest   + tool.description = Other.",
            "  manifest   - limits.fuel = 1000000000",
            "  manifest   - limits.memory = 64MiB",
            "  manifest   - needs.random = seeded",
            "  manifest   - record = acquire",
            &format!("  manifest   - tool.description = {}", description.trim_matches('"')),
        ],
        "{asked:?}"
    );
    // For programs it is no success that nothing was done.
    let told = desk.run(&["update", "json-query", "--json"]);
    assert_eq!(told.code, 2);
    let told = told.report();
    assert_eq!((&told["ok"], &told["updated"], &told["name"]), (&json!(false), &json!(false), &json!("json-query")));
    assert_eq!(told["error"]["kind"], "usage");
    assert!(told["error"]["help"].as_str().unwrap().contains("--yes"), "{told}");
    let manifest = &told["changes"]["manifest"];
    assert_eq!(
        (&manifest["removed"][1], &manifest["added"][0]),
        (&json!("limits.memory = 64MiB"), &json!("limits.memory = 128MiB"))
    );
    let done = desk.run(&["update", "json-query", "--json", "--yes"]).json();
    assert_eq!((&done["ok"], &done["updated"]), (&json!(true), &json!(true)));
}

/// What is printed of a version selects it.
#[test]
fn digests_are_whole_where_they_are_copied_from() {
    let desk = Desk::with("json-query");
    let wasm = fs::read(desk.path("tools/json-query.wasm")).unwrap();
    let first = Digest::of(&wasm).to_string();
    let installed = desk.run(&["install", "tools/json-query.wasm"]);
    assert!(installed.stdout.starts_with(&format!("installed json-query 0.1.0 {first}\n")), "{installed:?}");
    let again = desk.run(&["update", "json-query"]);
    assert_eq!(again.stdout, format!("json-query is 0.1.0 {first} already\n"));
    let other = [&wasm[..], b"\0\x02\x01x"].concat();
    desk.file("tools/json-query.wasm", &other);
    let second = Digest::of(&other).to_string();
    let updated = desk.run(&["update", "json-query", "--yes"]);
    assert!(updated.stdout.contains(&format!("0.1.0 {first} becomes 0.1.0 {second}\n")), "{updated:?}");
    assert!(updated.stdout.contains(&format!("json-query is 0.1.0 {second} now; ")), "{updated:?}");
    let shown = desk.run(&["show", "json-query"]).stdout;
    assert!(shown.contains(&format!("  current  0.1.0 {second}  ")), "{shown}");
    assert!(shown.contains(&format!("  before   0.1.0 {first}  ")), "{shown}");
    // What a table shows is as much as is taken.
    let listed = desk.run(&["list"]).stdout;
    let cell = listed.split_whitespace().find(|cell| cell.starts_with("sha256:")).unwrap();
    assert_eq!(cell, &second[..7 + 16]);
    assert_eq!(desk.run(&["show", &format!("json-query@{cell}"), "--json"]).json()["component"], second);
    let short = format!("json-query@{}", &cell[..7 + 15]);
    desk.run(&["show", &short]).fails(2, &["is neither a version nor a digest", "with 16 to 64 lower-case hex digits"]);
}
