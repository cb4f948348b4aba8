//! What the parsers say when they refuse: the place, what is wrong there, and what to do.
#![allow(clippy::unwrap_used, reason = "a text of this file that parses otherwise is a test that fails")]

mod texts;

use std::path::Path;

use expect_test::{Expect, expect};
use texts::{FOLDER, MANIFEST, POLICY, rendered};
use tollgate_config::{AdhocGrant, Grant, GuestPath, Manifest, Policy};

fn manifest_says(from: &str, to: &str, expect: &Expect) {
    let text = MANIFEST.replacen(from, to, 1);
    assert_ne!(text, MANIFEST, "nothing to replace");
    expect.assert_eq(&rendered(&Manifest::parse(&text, "tool.toml").unwrap_err()));
}

fn policy_says(from: &str, to: &str, expect: &Expect) {
    let text = POLICY.replacen(from, to, 1);
    assert_ne!(text, POLICY, "nothing to replace");
    expect.assert_eq(&rendered(&Policy::parse(&text, "tollgate.toml", Path::new(FOLDER)).unwrap_err()));
}

fn grant_says(text: &str, expect: &Expect) {
    expect.assert_eq(&rendered(&AdhocGrant::parse(text, Path::new("/home/me")).unwrap_err()));
}

#[test]
fn an_unknown_key_names_the_nearest() {
    manifest_says(
        "version =",
        "vresion =",
        &expect![[r#"
        unknown key `vresion`
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 5, column 1

        snippet line 5: name = "word-count"
        snippet line 6: vresion = "0.1.0"
            label at line 6, columns 1 to 7: no such key here
        snippet line 7: description = "Counts words."
        diagnostic help: did you mean `version`? Known keys here: `name`, `version`, `description`
    "#]],
    );
    manifest_says(
        "memory =",
        "memroy =",
        &expect![[r#"
        unknown key `memroy`
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 31, column 1

        snippet line 31: [limits]
        snippet line 32: memroy = "32MiB"
            label at line 32, columns 1 to 6: no such key here
        snippet line 33: fuel = 500_000_000
        diagnostic help: did you mean `memory`? Known keys here: `memory`, `fuel`, `deadline`, `input`, `output`, `stdio`, `handles`, `random`, `host_memory`, `calls`, `records`, `record_bytes`
    "#]],
    );
    policy_says(
        "on_violation",
        "on_violations",
        &expect![[r#"
            unknown key `on_violations`
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 13, column 1

            snippet line 13: limits.memory = "16MiB"
            snippet line 14: on_violations = "deny"
                label at line 14, columns 1 to 13: no such key here
            snippet line 15: record = "every"
            diagnostic help: did you mean `on_violation`? Known keys here: `component`, `fs`, `env`, `args`, `stdio`, `random`, `clocks`, `context`, `limits`, `on_violation`, `record`, `audit`
        "#]],
    );
}

#[test]
fn an_unknown_word_names_the_nearest() {
    manifest_says(
        "\"list\", \"read\"",
        "\"list\", \"raed\"",
        &expect![[r#"
        unknown word `raed`
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 24, column 1

        snippet line 24: guest = "/docs"
        snippet line 25: access = ["list", "raed"]
            label at line 25, columns 19 to 24: no such word here
        snippet line 26: 
        diagnostic help: did you mean `read`? Known words here: `read`, `write`, `create`, `delete`, `list`, `metadata`
    "#]],
    );
    policy_says(
        "wall = \"coarse\"",
        "wall = \"course\"",
        &expect![[r#"
        unknown word `course`
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 11, column 1

        snippet line 11: random = { seed = 42 }
        snippet line 12: clocks = { wall = "course", monotonic = "frozen" }
            label at line 12, columns 19 to 26: no such word here
        snippet line 13: limits.memory = "16MiB"
        diagnostic help: did you mean `coarse`? Known words here: `real`, `coarse`, `frozen`
    "#]],
    );
}

#[test]
fn a_duplicate_operation_points_at_both() {
    manifest_says(
        "name = \"total\"",
        "name = \"count\"",
        &expect![[r#"
        the operation `count` is there twice
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 9, column 1

        snippet line 9: [[operations]]
        snippet line 10: name = "count"
            label at line 10, columns 8 to 14: `count` is here first
        snippet line 11: description = "Counts the words of a file."
        snippet line 12: 
        snippet line 13: [[operations]]
        snippet line 14: name = "count"
            label at line 14, columns 8 to 14: and here again
        snippet line 15: 
        diagnostic help: rename one of the two, or take one out
    "#]],
    );
}

#[test]
fn overlapping_folders_point_at_both() {
    manifest_says(
        "guest = \"/out\"",
        "guest = \"/docs/out\"",
        &expect![[r#"
        the folders `/docs` and `/docs/out` overlap
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 23, column 1

        snippet line 23: [[needs.fs]]
        snippet line 24: guest = "/docs"
            label at line 24, columns 9 to 15: `/docs`
        snippet line 25: access = ["list", "read"]
        snippet line 26: 
        snippet line 27: [[needs.fs]]
        snippet line 28: guest = "/docs/out"
            label at line 28, columns 9 to 19: is the same as, above or below it
        snippet line 29: access = ["write"]
        diagnostic help: give each folder a place of its own, such as `/in` and `/out`: what holds at a path must not depend on the way to it
    "#]],
    );
}

#[test]
fn a_manifest_without_operations_or_version_says_what_to_add() {
    let text = "operations = []\n[tool]\nname = \"a\"\nversion = \"1.0.0\"\n";
    expect![[r#"
        the manifest has no operation
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 1, column 1

        snippet line 1: operations = []
            label at line 1, columns 14 to 15: nothing to call
        snippet line 2: [tool]
        diagnostic help: add one:
        [[operations]]
        name = "run"
    "#]]
    .assert_eq(&rendered(&Manifest::parse(text, "tool.toml").unwrap_err()));
    manifest_says(
        "version = \"0.1.0\"",
        "",
        &expect![[r#"
        the key `version` is missing
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 3, column 1

        snippet line 3: 
        snippet line 4: [tool]
            label at line 4, columns 1 to 6: missing here
        snippet line 5: name = "word-count"
        diagnostic help: add `version = …` to this table
    "#]],
    );
}

#[test]
fn a_bad_value_says_what_is_expected() {
    manifest_says(
        "\"32MiB\"",
        "\"32M\"",
        &expect![[r#"
        "32M" is not a size
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 31, column 1

        snippet line 31: [limits]
        snippet line 32: memory = "32M"
            label at line 32, columns 10 to 14: this value
        snippet line 33: fuel = 500_000_000
        diagnostic help: write a number and a unit, such as "16MiB", "4KiB", "512B" or "2MB", or a number of bytes
    "#]],
    );
    manifest_says(
        "\"2s\"",
        "2",
        &expect![[r#"
        "2" is not a duration
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 33, column 1

        snippet line 33: fuel = 500_000_000
        snippet line 34: deadline = 2
            label at line 34, column 12: this value
        snippet line 35: input = 4096
        diagnostic help: write a whole number and a unit, such as "2s", "500ms", "1m" or "1h"
    "#]],
    );
    manifest_says(
        "\"2s\"",
        "\"2h\"",
        &expect![[r#"
        `deadline` is 2h, and the most there is is 1h
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 33, column 1

        snippet line 33: fuel = 500_000_000
        snippet line 34: deadline = "2h"
            label at line 34, columns 12 to 15: this value
        snippet line 35: input = 4096
        diagnostic help: lower it to 1h or less
    "#]],
    );
    manifest_says(
        "500_000_000",
        "0",
        &expect![[r#"
        `fuel` is 0, and the least that makes sense is 1
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 32, column 1

        snippet line 32: memory = "32MiB"
        snippet line 33: fuel = 0
            label at line 33, column 8: this value
        snippet line 34: deadline = "2s"
        diagnostic help: raise it to 1 or more, or leave the line out to get the default
    "#]],
    );
}

#[test]
fn a_value_of_the_wrong_kind_says_what_is_expected() {
    manifest_says(
        "args = true",
        "args = 1",
        &expect![[r#"
            the value does not fit: integer `1`, expected true, false or the empty list `[]`
                Diagnostic severity: error
            Begin snippet for tool.toml starting at line 17, column 1

            snippet line 17: env = ["LANG"]
            snippet line 18: args = 1
                label at line 18, column 8: this value
            snippet line 19: stdio = ["stdin", "stdout"]
            diagnostic help: change it to what is expected
        "#]],
    );
    manifest_says(
        "\"word-count\"",
        "\"Word Count\"",
        &expect![[r#"
        "Word Count" is not a name for a tool
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 4, column 1

        snippet line 4: [tool]
        snippet line 5: name = "Word Count"
            label at line 5, columns 8 to 19: this value
        snippet line 6: version = "0.1.0"
        diagnostic help: did you mean `word-count`? use lower-case letters, digits and `-`, starting with a letter, at most 64 bytes, such as `word-count`
    "#]],
    );
    manifest_says(
        "[\"write\"]",
        "[]",
        &expect![[r#"
        no right is named
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 28, column 1

        snippet line 28: guest = "/out"
        snippet line 29: access = []
            label at line 29, columns 10 to 11: this value
        snippet line 30: 
        diagnostic help: name at least one of read, write, create, delete, list, metadata, or take the folder out
    "#]],
    );
}

#[test]
fn a_key_given_twice_is_no_toml() {
    manifest_says(
        "args = true",
        "args = true\nargs = true",
        &expect![[r#"
        not TOML: duplicate key
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 18, column 1

        snippet line 18: args = true
        snippet line 19: args = true
            label at line 19, columns 1 to 4: here
        snippet line 20: stdio = ["stdin", "stdout"]
        diagnostic help: a key can be given once: keep one of the two and take the other out
    "#]],
    );
}

#[test]
fn a_host_path_that_cannot_be_granted_says_why() {
    policy_says(
        "\"/srv/$$out\"",
        "\"/srv/..\"",
        &expect![[r#"
            "/srv/.." is the root of the host, and granting it would grant everything
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 6, column 1

            snippet line 6: fs."/docs" = { host = "${workspace}/reports", access = ["read", "list"], include = ["*.txt"], exclude = ["private/**"], quota = "1MiB" }
            snippet line 7: fs."/out" = { host = "/srv/..", access = ["write", "delete"], durable = ["delete"] }
                label at line 7, columns 22 to 30: this value
            snippet line 8: env = { LANG = "C", TOKEN = { host = "API_TOKEN" } }
            diagnostic help: grant the folder that the tool needs, such as "./reports"
        "#]],
    );
    policy_says(
        "${workspace}",
        "${workspaces}",
        &expect![[r#"
            unknown variable `workspaces`
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 5, column 1

            snippet line 5: [tools.word-count]
            snippet line 6: fs."/docs" = { host = "${workspaces}/reports", access = ["read", "list"], include = ["*.txt"], exclude = ["private/**"], quota = "1MiB" }
                label at line 6, columns 23 to 45: this value
            snippet line 7: fs."/out" = { host = "/srv/$$out", access = ["write", "delete"], durable = ["delete"] }
            diagnostic help: did you mean `workspace`? Known variables here: `workspace`. New ones go into [variables] of this file
        "#]],
    );
    policy_says(
        "${workspace}",
        "$HOME",
        &expect![[r#"
            the `$` in "$HOME/reports" begins no variable
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 5, column 1

            snippet line 5: [tools.word-count]
            snippet line 6: fs."/docs" = { host = "$HOME/reports", access = ["read", "list"], include = ["*.txt"], exclude = ["private/**"], quota = "1MiB" }
                label at line 6, columns 23 to 37: this value
            snippet line 7: fs."/out" = { host = "/srv/$$out", access = ["write", "delete"], durable = ["delete"] }
            diagnostic help: write `${name}` for a variable of [variables], or `$$` for a dollar sign
        "#]],
    );
}

#[test]
fn a_pattern_or_a_seed_that_cannot_be_used_says_why() {
    policy_says(
        "\"private/**\"",
        "\"private/\"",
        &expect![[r#"
            the pattern "private/" is not a normalised path
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 5, column 1

            snippet line 5: [tools.word-count]
            snippet line 6: fs."/docs" = { host = "${workspace}/reports", access = ["read", "list"], include = ["*.txt"], exclude = ["private/"], quota = "1MiB" }
                label at line 6, columns 105 to 116: this value
            snippet line 7: fs."/out" = { host = "/srv/$$out", access = ["write", "delete"], durable = ["delete"] }
            diagnostic help: write names with one `/` between them; for a folder and all in it write `private/**`
        "#]],
    );
    policy_says(
        "{ seed = 42 }",
        "\"seeded\"",
        &expect![[r#"
            the value does not fit: string "seeded", expected "secure" or `{ seed = 42 }`
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 10, column 1

            snippet line 10: stdio = ["stdin", "stdout"]
            snippet line 11: random = "seeded"
                label at line 11, columns 10 to 17: this value
            snippet line 12: clocks = { wall = "coarse", monotonic = "frozen" }
            diagnostic help: change it to what is expected
        "#]],
    );
}

#[test]
fn a_durable_right_that_is_not_granted_says_so() {
    policy_says(
        "durable = [\"delete\"]",
        "durable = [\"create\", \"delete\"]",
        &expect![[r#"
        durable and not granted: create
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 6, column 1

        snippet line 6: fs."/docs" = { host = "${workspace}/reports", access = ["read", "list"], include = ["*.txt"], exclude = ["private/**"], quota = "1MiB" }
        snippet line 7: fs."/out" = { host = "/srv/$$out", access = ["write", "delete"], durable = ["create", "delete"] }
            label at line 7, columns 76 to 95: this value
        snippet line 8: env = { LANG = "C", TOKEN = { host = "API_TOKEN" } }
        diagnostic help: add them to `access`, or take them out of `durable`
    "#]],
    );
    policy_says(
        "durable = [\"delete\"]",
        "durable = [\"deleet\"]",
        &expect![[r#"
        unknown word `deleet`
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 6, column 1

        snippet line 6: fs."/docs" = { host = "${workspace}/reports", access = ["read", "list"], include = ["*.txt"], exclude = ["private/**"], quota = "1MiB" }
        snippet line 7: fs."/out" = { host = "/srv/$$out", access = ["write", "delete"], durable = ["deleet"] }
            label at line 7, columns 77 to 84: no such word here
        snippet line 8: env = { LANG = "C", TOKEN = { host = "API_TOKEN" } }
        diagnostic help: did you mean `delete`? Known words here: `read`, `write`, `create`, `delete`, `list`, `metadata`
    "#]],
    );
    grant_says(
        "durable:/out=wrtie",
        &expect![[r#"
        unknown word `wrtie` in the grant `durable:/out=wrtie`
            Diagnostic severity: error
        diagnostic help: did you mean `write`? Known words here: `read`, `write`, `create`, `delete`, `list`, `metadata`
        accepted: durable:GUEST=ACCESS[,ACCESS...] after its fs:GUEST=..., such as durable:/out=write,delete
    "#]],
    );
    let mut grant = Grant::default();
    let mut merge = |text| grant.merge_adhoc(AdhocGrant::parse(text, Path::new(FOLDER)).unwrap());
    let no_folder = merge("durable:/out=write").unwrap_err();
    expect![[r#"
        the rights below `/out` cannot be durable: no such folder is granted
            Diagnostic severity: error
        diagnostic help: grant the folder first, such as --grant 'fs:/out=PATH:write' --grant 'durable:/out=write'
    "#]]
    .assert_eq(&rendered(&no_folder));
    assert_eq!(merge("fs:/out=out:write,create"), Ok(()));
    let not_granted = merge("durable:/out=write,delete").unwrap_err();
    expect![[r#"
        below `/out`: durable and not granted: delete
            Diagnostic severity: error
        diagnostic help: grant them in `fs:/out=…` before `durable:/out=…`, or take them out there
    "#]]
    .assert_eq(&rendered(&not_granted));
    assert_eq!(merge("durable:/out=write"), Ok(()));
    let out: GuestPath = "/out".parse().unwrap();
    assert_eq!(grant.fs[&out].durable.to_string(), "write");
    grant.merge_adhoc(AdhocGrant::parse("fs:/out=out:write", Path::new(FOLDER)).unwrap()).unwrap();
    assert!(grant.fs[&out].durable.is_empty(), "a folder that is given anew");
}

#[test]
fn only_a_grant_has_audit_settings_and_only_known_ones() {
    manifest_says(
        "record = \"every\"",
        "audit.arguments = \"none\"",
        &expect![[r#"
        unknown key `audit`
            Diagnostic severity: error
        Begin snippet for tool.toml starting at line 1, column 1

        snippet line 1: 
        snippet line 2: audit.arguments = "none"
            label at line 2, columns 1 to 5: no such key here
        snippet line 3: 
        diagnostic help: known keys here: `tool`, `operations`, `needs`, `limits`, `record`
    "#]],
    );
    policy_says(
        "arguments = \"full\"",
        "argumnets = \"full\"",
        &expect![[r#"
        unknown key `argumnets`
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 17, column 1

        snippet line 17: [tools.word-count.audit]
        snippet line 18: argumnets = "full"
            label at line 18, columns 1 to 9: no such key here
        snippet line 19: acknowledge = "journal"
        diagnostic help: did you mean `arguments`? Known keys here: `arguments`, `acknowledge`
    "#]],
    );
    policy_says(
        "arguments = \"full\"",
        "arguments = \"fulll\"",
        &expect![[r#"
        unknown word `fulll`
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 17, column 1

        snippet line 17: [tools.word-count.audit]
        snippet line 18: arguments = "fulll"
            label at line 18, columns 13 to 19: no such word here
        snippet line 19: acknowledge = "journal"
        diagnostic help: did you mean `full`? Known words here: `digest`, `full`, `none`
    "#]],
    );
    policy_says(
        "acknowledge = \"journal\"",
        "acknowledge = \"dsik\"",
        &expect![[r#"
            unknown word `dsik`
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 18, column 1

            snippet line 18: arguments = "full"
            snippet line 19: acknowledge = "dsik"
                label at line 19, columns 15 to 20: no such word here
            snippet line 20: 
            diagnostic help: did you mean `disk`? Known words here: `pipe`, `journal`, `disk`
        "#]],
    );
}

#[test]
fn an_unknown_word_in_an_audit_grant_names_the_nearest() {
    grant_says(
        "audit:argument=full",
        &expect![[r#"
        unknown word `argument` in the grant `audit:argument=full`
            Diagnostic severity: error
        diagnostic help: did you mean `arguments`? Known words here: `arguments`, `acknowledge`
        accepted: audit:arguments=HOW or audit:acknowledge=WHEN, such as audit:acknowledge=disk
    "#]],
    );
    grant_says(
        "audit:acknowledge=dsik",
        &expect![[r#"
        unknown word `dsik` in the grant `audit:acknowledge=dsik`
            Diagnostic severity: error
        diagnostic help: did you mean `disk`? Known words here: `pipe`, `journal`, `disk`
        accepted: audit:arguments=HOW or audit:acknowledge=WHEN, such as audit:acknowledge=disk
    "#]],
    );
}

#[test]
fn a_bad_grant_text_shows_the_accepted_form() {
    grant_says(
        "fs:/docs=./reports",
        &expect![[r#"
        the grant `fs:/docs=./reports` does not have an accepted form
            Diagnostic severity: error
        diagnostic help: accepted: fs:GUEST=HOST:ACCESS[,ACCESS...], such as fs:/docs=./reports:read,list
    "#]],
    );
    grant_says(
        "fs:/docs=./reports:raed",
        &expect![[r#"
        unknown word `raed` in the grant `fs:/docs=./reports:raed`
            Diagnostic severity: error
        diagnostic help: did you mean `read`? Known words here: `read`, `write`, `create`, `delete`, `list`, `metadata`
        accepted: fs:GUEST=HOST:ACCESS[,ACCESS...], such as fs:/docs=./reports:read,list
    "#]],
    );
    grant_says(
        "fs:/docs=/:read",
        &expect![[r#"
        in the grant `fs:/docs=/:read`: "/" is the root of the host, and granting it would grant everything
            Diagnostic severity: error
        diagnostic help: grant the folder that the tool needs, such as "./reports"
        accepted: fs:GUEST=HOST:ACCESS[,ACCESS...], such as fs:/docs=./reports:read,list
    "#]],
    );
    grant_says(
        "evn:LANG=C",
        &expect![[r#"
            the grant `evn:LANG=C` does not have an accepted form
                Diagnostic severity: error
            diagnostic help: did you mean `env`? Known kinds here: `fs`, `durable`, `env`, `args`, `stdio`, `random`, `clock`, `context`, `audit`, `limit`
            accepted:
            fs:GUEST=HOST:ACCESS[,ACCESS...], such as fs:/docs=./reports:read,list
            durable:GUEST=ACCESS[,ACCESS...] after its fs:GUEST=..., such as durable:/out=write,delete
            env:NAME=VALUE or env:NAME, such as env:LANG=C
            args=A[,B...], such as args=--fast
            stdio=STREAM[,STREAM...], such as stdio=stdin,stdout
            random=secure or random=seed:42
            clock:wall=MODE or clock:monotonic=MODE, such as clock:monotonic=coarse
            context
            audit:arguments=HOW or audit:acknowledge=WHEN, such as audit:acknowledge=disk
            limit:CAP=VALUE, such as limit:memory=16MiB
        "#]],
    );
    grant_says(
        "limit:memory=16M",
        &expect![[r#"
        in the grant `limit:memory=16M`: "16M" is not a size
            Diagnostic severity: error
        diagnostic help: write a number and a unit, such as "16MiB", "4KiB", "512B" or "2MB", or a number of bytes
        accepted: limit:CAP=VALUE, such as limit:memory=16MiB
    "#]],
    );
}

/// What people write who know TOML from elsewhere.
#[test]
fn usual_slips_are_told_what_to_write() {
    let manifest = |text: &str, told: &str| {
        let said = rendered(&Manifest::parse(text, "tool.toml").unwrap_err());
        assert!(said.contains(told), "{text}: no {told:?} in {said}");
    };
    let policy = |line: &str, told: &str| {
        let text = format!("[tools.a]\n{line}\n");
        let said = rendered(&Policy::parse(&text, "tollgate.toml", Path::new(FOLDER)).unwrap_err());
        assert!(said.contains(told), "{text}: no {told:?} in {said}");
    };
    policy("fs./notes = { host = \"notes\", access = [\"read\"] }", "help: a path stands in quotes: `fs.\"/notes\"`");
    policy("fs.\"/notes\" = { host = \"notes\", access = \"read\" }", "help: write `[\"read\"]`: there can be several");
    policy("fs.\"/notes\" = \"./notes\"", "help: write `{ host = \"./notes\", access = [\"read\"] }`");
    policy("args = \"-x\"", "help: write `[\"-x\"]`: there can be several");
    let tool = "[tool]\nname = \"a\"\nversion = \"0.1.0\"\n";
    let operations = "[[operations]]\nname = \"run\"\n";
    manifest(
        "",
        "help: begin with:\n[tool]\nname = \"my-tool\"\nversion = \"0.1.0\"\n\n[[operations]]\nname = \"run\"",
    );
    manifest(tool, "help: add what the tool can be called for:\n[[operations]]\nname = \"run\"");
    manifest(&format!("{tool}[operations]\nname = \"run\"\n"), "help: write `[[operations]]`: there can be several");
    manifest(
        &format!("{tool}{operations}[needs.fs]\nguest = \"/a\"\naccess = [\"read\"]\n"),
        "help: write `[[needs.fs]]`: there can be several",
    );
    manifest(
        &format!("{tool}{operations}[[needs.fs]]\nguest = \"/a\"\naccess = \"read\"\n"),
        "help: write `[\"read\"]`: there can be several",
    );
    let named = |name: &str| format!("[tool]\nname = \"{name}\"\nversion = \"0.1.0\"\n{operations}");
    manifest(&named("first_line"), "help: did you mean `first-line`? use lower-case letters");
    manifest(&named("First Line"), "help: did you mean `first-line`? use lower-case letters");
    manifest(&named("9"), "help: use lower-case letters");
    let operation = tool.to_owned() + "[[operations]]\nname = \"first_line\"\n";
    manifest(&operation, "help: did you mean `first-line`? use lower-case letters");
}
