//! What the parser of policies says of the keys around workers: the place, what is wrong there, and what to do.
#![allow(clippy::unwrap_used, reason = "a text of this file that parses otherwise is a test that fails")]
#![allow(dead_code, reason = "of the texts, this file needs the policy")]

mod texts;

use std::path::Path;

use expect_test::{Expect, expect};
use texts::{FOLDER, POLICY, rendered};
use tollgate_config::Policy;

fn policy_says(from: &str, to: &str, expect: &Expect) {
    let text = POLICY.replacen(from, to, 1);
    assert_ne!(text, POLICY, "nothing to replace");
    expect.assert_eq(&rendered(&Policy::parse(&text, "tollgate.toml", Path::new(FOLDER)).unwrap_err()));
}

#[test]
fn an_unknown_key_or_level_names_the_nearest() {
    policy_says(
        "require =",
        "requires =",
        &expect![[r#"
        unknown key `requires`
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 21, column 1

        snippet line 21: [sandbox]
        snippet line 22: requires = "partial"
            label at line 22, columns 1 to 8: no such key here
        snippet line 23: 
        diagnostic help: did you mean `require`? Known keys here: `require`
    "#]],
    );
    policy_says(
        "\"partial\"",
        "\"ful\"",
        &expect![[r#"
        unknown word `ful`
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 21, column 1

        snippet line 21: [sandbox]
        snippet line 22: require = "ful"
            label at line 22, columns 11 to 15: no such word here
        snippet line 23: 
        diagnostic help: did you mean `full`? Known words here: `none`, `partial`, `full`
    "#]],
    );
    policy_says(
        "idle =",
        "idel =",
        &expect![[r#"
        unknown key `idel`
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 24, column 1

        snippet line 24: [workers]
        snippet line 25: idel = "90s"
            label at line 25, columns 1 to 4: no such key here
        snippet line 26: grace = "250ms"
        diagnostic help: did you mean `idle`? Known keys here: `idle`, `grace`
    "#]],
    );
}

#[test]
fn the_table_of_hosts_is_refused_by_name() {
    policy_says(
        "[workers]",
        "[hosts]",
        &expect![[r#"
        unknown key `hosts`
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 23, column 1

        snippet line 23: 
        snippet line 24: [hosts]
            label at line 24, columns 2 to 6: no such key here
        snippet line 25: idle = "90s"
        diagnostic help: `[hosts]` is named `[workers]` now: rename the table
    "#]],
    );
}

#[test]
fn a_time_out_of_bounds_or_without_a_unit_says_so() {
    policy_says(
        "\"90s\"",
        "90",
        &expect![[r#"
        "90" is not a duration
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 24, column 1

        snippet line 24: [workers]
        snippet line 25: idle = 90
            label at line 25, columns 8 to 9: this value
        snippet line 26: grace = "250ms"
        diagnostic help: write a whole number and a unit, such as "2s", "500ms", "1m" or "1h"
    "#]],
    );
    policy_says(
        "\"90s\"",
        "\"25h\"",
        &expect![[r#"
        `workers.idle` is 25h, and the most there is is 24h
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 24, column 1

        snippet line 24: [workers]
        snippet line 25: idle = "25h"
            label at line 25, columns 8 to 12: this value
        snippet line 26: grace = "250ms"
        diagnostic help: lower it to 24h or less
    "#]],
    );
    policy_says(
        "\"250ms\"",
        "\"0ms\"",
        &expect![[r#"
        `workers.grace` is 0ms, and the least that makes sense is 10ms
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 25, column 1

        snippet line 25: idle = "90s"
        snippet line 26: grace = "0ms"
            label at line 26, columns 9 to 13: this value
        snippet line 27: 
        diagnostic help: raise it to 10ms or more, or leave the line out to get the default
    "#]],
    );
}

#[test]
fn a_tool_in_two_compartments_points_at_both() {
    policy_says(
        "[\"dice\"]",
        "[\"dice\", \"text-diff\"]",
        &expect![[r#"
            the tool `text-diff` is in a compartment twice: in `texts` and in `dice`
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 28, column 1

            snippet line 28: [compartments]
            snippet line 29: texts = ["word-count", "text-diff"]
                label at line 29, columns 24 to 34: `text-diff` is here first
            snippet line 30: dice = ["dice", "text-diff"]
                label at line 30, columns 17 to 27: and here again
            diagnostic help: a tool has one worker: take it out of one of the two lists
        "#]],
    );
    policy_says(
        "\"text-diff\"",
        "\"word-count\"",
        &expect![[r#"
            the tool `word-count` is in a compartment twice: in `texts` and in `texts`
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 28, column 1

            snippet line 28: [compartments]
            snippet line 29: texts = ["word-count", "word-count"]
                label at line 29, columns 10 to 21: `word-count` is here first
                label at line 29, columns 24 to 35: and here again
            snippet line 30: dice = ["dice"]
            diagnostic help: a tool has one worker: take it out of one of the two lists
        "#]],
    );
}

#[test]
fn a_compartment_that_cannot_be_says_why() {
    policy_says(
        "\"text-diff\"",
        "\"Text Diff\"",
        &expect![[r#"
        "Text Diff" is not a name for a tool
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 28, column 1

        snippet line 28: [compartments]
        snippet line 29: texts = ["word-count", "Text Diff"]
            label at line 29, columns 24 to 34: this value
        snippet line 30: dice = ["dice"]
        diagnostic help: did you mean `text-diff`? use lower-case letters, digits and `-`, starting with a letter, at most 64 bytes, such as `word-count`
    "#]],
    );
    policy_says(
        "texts = ",
        "Texts = ",
        &expect![[r#"
            "Texts" is not a name for a compartment
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 28, column 1

            snippet line 28: [compartments]
            snippet line 29: Texts = ["word-count", "text-diff"]
                label at line 29, columns 1 to 5: this value
            snippet line 30: dice = ["dice"]
            diagnostic help: did you mean `texts`? use lower-case letters, digits and `-`, starting with a letter, at most 64 bytes, such as `word-count`
        "#]],
    );
    policy_says(
        "[\"dice\"]",
        "[]",
        &expect![[r#"
            no tool is named
                Diagnostic severity: error
            Begin snippet for tollgate.toml starting at line 29, column 1

            snippet line 29: texts = ["word-count", "text-diff"]
            snippet line 30: dice = []
                label at line 30, columns 8 to 9: this value
            diagnostic help: name the tools that share a worker, or take the compartment out
        "#]],
    );
    let many = (0..65).map(|number| format!("\"t{number}\"")).collect::<Vec<_>>().join(",");
    policy_says(
        "[\"dice\"]",
        &format!("[{many}]"),
        &expect![[r#"
        65 tools in one compartment, and the most is 64
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 29, column 1

        snippet line 29: texts = ["word-count", "text-diff"]
        snippet line 30: dice = ["t0","t1","t2","t3","t4","t5","t6","t7","t8","t9","t10","t11","t12","t13","t14","t15","t16","t17","t18","t19","t20","t21","t22","t23","t24","t25","t26","t27","t28","t29","t30","t31","t32","t33","t34","t35","t36","t37","t38","t39","t40","t41","t42","t43","t44","t45","t46","t47","t48","t49","t50","t51","t52","t53","t54","t55","t56","t57","t58","t59","t60","t61","t62","t63","t64"]
            label at line 30, columns 8 to 388: this value
        diagnostic help: take some out
    "#]],
    );
    policy_says(
        "[compartments]",
        "[compartment]",
        &expect![[r#"
        unknown key `compartment`
            Diagnostic severity: error
        Begin snippet for tollgate.toml starting at line 27, column 1

        snippet line 27: 
        snippet line 28: [compartment]
            label at line 28, columns 2 to 12: no such key here
        snippet line 29: texts = ["word-count", "text-diff"]
        diagnostic help: did you mean `compartments`? Known keys here: `variables`, `tools`, `sandbox`, `workers`, `compile`, `compartments`
    "#]],
    );
}
