//! Row 2: a policy that is found, not named, was not necessarily written by the user.

use std::fs;

use serde_json::{Value, json};

use super::machine::{give_away, give_to_group};
use super::ran::{Ran, Stop, Verdict};
use super::scene::{SECRET, Scene};
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("another user's policy of mode 666 is obeyed", |scene| {
        scene.file("project/tollgate.toml", NEAR)?;
        scene.mode("project/tollgate.toml", 0o666)?;
        if let Some(skipped) = give_away(&scene.path("project/tollgate.toml")) {
            return Ok(skipped);
        }
        not_mine(scene)
    }),
    known("the policy of a cloned repository grants a folder outside", |scene| {
        far(
            scene,
            "[tools.hostile]\nfs.\"/far\" = { host = \"../secret\", access = [\"read\"] }\n",
            &READ_SECRET.steps(),
            FARTHER,
        )
    }),
    known("the policy of a cloned repository grants the user's environment", |scene| {
        far(scene, "[tools.hostile]\nenv.SECRET = { host = \"SECRET\" }\n", &json!([{"do": "env"}]), FARTHER)
    }),
    known("the policy of a cloned repository asks for a weaker sandbox", |scene| {
        far(scene, "[sandbox]\nrequire = \"none\"\n\n[tools.hostile]\nrandom = \"secure\"\n", &RANDOM.steps(), FARTHER)
    }),
    variant("my own policy that everybody can write is obeyed", |scene| {
        scene.file("project/tollgate.toml", NEAR)?;
        scene.mode("project/tollgate.toml", 0o646)?;
        not_mine(scene)
    }),
    variant("my own policy that another group can write is obeyed", |scene| {
        scene.file("project/tollgate.toml", NEAR)?;
        scene.mode("project/tollgate.toml", 0o664)?;
        if let Some(skipped) = give_to_group(&scene.path("project/tollgate.toml")) {
            return Ok(skipped);
        }
        not_mine(scene)
    }),
    variant("the policy is my link to another user's file", |scene| {
        scene.file("theirs/policy.toml", NEAR)?;
        scene.link("../theirs/policy.toml", "project/tollgate.toml")?;
        if let Some(skipped) = give_away(&scene.path("theirs/policy.toml")) {
            return Ok(skipped);
        }
        not_mine(scene)
    }),
    variant("the policy is mine, its folder is another user's", |scene| {
        scene.file("project/tollgate.toml", NEAR)?;
        if let Some(skipped) = give_away(&scene.path("project")) {
            return Ok(skipped);
        }
        not_mine(scene)
    }),
    variant("the policy is mine, everybody can rename in its folder", |scene| {
        scene.file("project/tollgate.toml", NEAR)?;
        scene.mode("project", 0o777)?;
        not_mine(scene)
    }),
    variant("the policy and its folder are mine, everybody can rename in the folder above", |scene| {
        scene.file("project/tollgate.toml", NEAR)?;
        scene.mode("", 0o777)?;
        not_mine(scene)
    }),
    variant("the policy is my link, everybody can rename in a folder behind it", |scene| {
        scene.file("open/mine/policy.toml", NEAR)?;
        scene.link("../open/mine/policy.toml", "project/tollgate.toml")?;
        scene.mode("open", 0o777)?;
        not_mine(scene)
    }),
    variant("a granted folder lies below the policy, by a link that leads outside", |scene| {
        scene.link("../secret", "project/docs")?;
        far(
            scene,
            "[tools.hostile]\nfs.\"/far\" = { host = \"docs\", access = [\"read\"] }\n",
            &READ_SECRET.steps(),
            FARTHER,
        )
    }),
    variant("a granted folder is named by a variable with detours", |scene| {
        scene.dir("project/a")?;
        let policy = "[variables]\nup = \"./a/../..\"\n\n[tools.hostile]\nfs.\"/far\" = { host = \"${up}/secret\", access = [\"read\"] }\n";
        far(scene, policy, &READ_SECRET.steps(), FARTHER)
    }),
    variant("an accepted policy is changed afterwards", accepted_then_changed),
];

/// A policy that grants nothing far.
const NEAR: &str = "[tools.hostile]\nrandom = \"secure\"\n";

const NOT_MINE: Stop = Stop::refused(&["others may have written it"]);
const NOT_MY_FOLDER: Stop = Stop::refused(&["others may put another file in its place"]);
const A_LINK: Stop = Stop::refused(&["it is a symbolic link"]);
const FARTHER: Stop = Stop::refused(&["tollgate trust"]);

/// What the tool does with what the policy grants.
struct Use(&'static str);

const READ_SECRET: Use = Use(r#"[{"do": "read", "path": "/far/key.txt"}]"#);
const RANDOM: Use = Use(r#"[{"do": "random", "len": 4}]"#);

impl Use {
    fn steps(&self) -> Value {
        serde_json::from_str(self.0).unwrap_or_default()
    }
}

/// A policy of somebody else's is not obeyed; given by name it is, since the operator says so.
fn not_mine(scene: &Scene<'_>) -> Result<Verdict> {
    let ran = scene.hostile(&[], &RANDOM.steps())?;
    let obeyed = ran.exit == Some(0);
    ran.judge(
        obeyed.then(|| "a policy was obeyed that others can write".to_owned()),
        &[NOT_MINE, NOT_MY_FOLDER, A_LINK],
    )
}

/// A policy that reaches farther than its folder is obeyed if it is named, and not if it is found.
fn far(scene: &Scene<'_>, policy: &str, steps: &Value, stop: Stop) -> Result<Verdict> {
    scene.file("project/tollgate.toml", policy)?;
    let named = ["--policy", "tollgate.toml"];
    scene.hostile(&named, steps)?.all_done().map_err(|error| format!("named by the operator: {error}"))?;
    let near = scene.path("project/tollgate.toml");
    fs::write(&near, NEAR)?;
    scene
        .hostile(&[], &RANDOM.steps())?
        .all_done()
        .map_err(|error| format!("a policy that grants nothing far: {error}"))?;
    fs::write(&near, policy)?;
    judged(&scene.hostile(&[], steps)?, stop)
}

fn judged(ran: &Ran, stop: Stop) -> Result<Verdict> {
    let effect = match ran.exit {
        Some(0) if ran.says(SECRET) => Some("the tool got the secret".to_owned()),
        Some(0) => Some("the policy was obeyed".to_owned()),
        _other => None,
    };
    ran.judge(effect, &[stop])
}

fn accepted_then_changed(scene: &Scene<'_>) -> Result<Verdict> {
    let one = "[tools.hostile]\nenv.OTHER = { host = \"HOME\" }\n";
    scene.file("project/tollgate.toml", one)?;
    let accepted = scene.tollgate(&["trust"])?;
    if accepted.exit != Some(0) {
        // Without a way to accept, all that is found is obeyed, or nothing.
        scene.file("project/tollgate.toml", "[tools.hostile]\nenv.SECRET = { host = \"SECRET\" }\n")?;
        return judged(&scene.hostile(&[], &json!([{"do": "env"}]))?, FARTHER);
    }
    scene.hostile(&[], &json!([{"do": "env"}]))?.all_done()?;
    scene.file("project/tollgate.toml", "[tools.hostile]\nenv.SECRET = { host = \"SECRET\" }\n")?;
    judged(&scene.hostile(&[], &json!([{"do": "env"}]))?, FARTHER)
}
