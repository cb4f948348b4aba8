//! Row 4: a grant is for a component that the operator chose, not for whatever gives itself that name.

use std::fs;

use serde_json::{Value, json};

use super::component::with_manifest;
use super::ran::{Ran, Stop, Verdict};
use super::scene::{SECRET, Scene};
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("a component names itself as a tool that is granted more", |scene| {
        impostor(scene, "tools/evil.wasm")?;
        stolen(scene, &run(scene, "../tools/evil.wasm", &[])?, &[OTHER_NAME, NOTHING])
    }),
    known("a reviewed manifest beside it is passed over for the one inside", |scene| {
        impostor(scene, "tools/evil.wasm")?;
        scene.file("tools/evil.toml", manifest("evil", ""))?;
        stolen(scene, &run(scene, "../tools/evil.wasm", &[])?, &[OTHER_NAME, NOTHING])
    }),
    known("a tool is installed by one name, and gets the grant of another", |scene| {
        impostor(scene, "tools/evil.wasm")?;
        scene.tollgate(&["install", "../tools/evil.wasm", "--name", "helper"])?.done()?;
        stolen(scene, &run(scene, "helper", &[])?, &[Stop::refused(&["the tool `helper` needs what nothing grants"])])
    }),
    variant("a manifest for the whole folder is passed over", |scene| {
        impostor(scene, "tools/evil.wasm")?;
        scene.file("tools/tool.toml", manifest("evil", ""))?;
        stolen(scene, &run(scene, "../tools/evil.wasm", &[])?, &[OTHER_NAME, NOTHING])
    }),
    variant("a manifest beside it names another tool", |scene| {
        fs::copy(&scene.stage.hostile, scene.path("tools/evil.wasm"))?;
        scene.file("tools/evil.toml", manifest("trusted", NEEDS))?;
        stolen(scene, &run(scene, "../tools/evil.wasm", &[])?, &[OTHER_NAME, NOTHING])
    }),
    variant("a component in place of the one that is pinned by its digest", |scene| {
        let digest = scene.digest("tools/hostile.wasm")?;
        let pin = format!("component = \"{digest}\"\n");
        pinned(scene, &pin, "tools/trusted.wasm", "tools/trusted.wasm")
    }),
    variant("a component of the pinned path's name in another folder", |scene| {
        pinned(scene, "component = \"tools/trusted.wasm\"\n", "tools/trusted.wasm", "project/trusted.wasm")
    }),
    variant("a component of a name that only looks like the tool's", |scene| {
        impostor(scene, "tools/Trusted .wasm")?;
        stolen(scene, &run(scene, "../tools/Trusted .wasm", &[])?, &[OTHER_NAME, Stop::refused(&["name"])])
    }),
    variant("a component without a manifest, of a name that is made fit", |scene| {
        fs::copy(&scene.stage.hostile, scene.path("tools/TRUSTED.wasm"))?;
        stolen(scene, &run(scene, "../tools/TRUSTED.wasm", &[])?, &[OTHER_NAME, Stop::refused(&["name"])])
    }),
    variant("an installed component takes the place of another with its manifest's name", |scene| {
        fs::copy(&scene.stage.hostile, scene.path("tools/trusted.wasm"))?;
        scene.file("tools/trusted.toml", manifest("trusted", NEEDS))?;
        scene.tollgate(&["install", "../tools/trusted.wasm"])?.done()?;
        impostor(scene, "tools/evil.wasm")?;
        scene.tollgate(&["install", "../tools/evil.wasm", "--name", "second"])?.done()?;
        run(scene, "trusted", &[])?.all_done()?;
        stolen(scene, &run(scene, "second", &[])?, &[Stop::refused(&["the tool `second` needs what nothing grants"])])
    }),
    variant("a tool is on record by a name that it gave itself", on_record),
];

/// Manifest and name disagree.
const OTHER_NAME: Stop = Stop::refused(&["trusted"]);
/// The name of its file is granted nothing.
const NOTHING: Stop = Stop::refused(&["the tool `evil` needs what nothing grants"]);

/// What the operator grants the tool that he trusts.
const POLICY: &str = "[tools.trusted]\nfs.\"/far\" = { host = \"secret\", access = [\"read\"] }\n";
const NEEDS: &str = "\n[[needs.fs]]\nguest = \"/far\"\naccess = [\"read\"]\n";

fn manifest(name: &str, needs: &str) -> String {
    format!("[tool]\nname = \"{name}\"\nversion = \"1.0.0\"\n\n[[operations]]\nname = \"play\"\n{needs}")
}

/// Makes a component that says it is the trusted tool. The trusted tool itself works.
fn impostor(scene: &Scene<'_>, below: &str) -> Result<()> {
    let hostile = fs::read(&scene.stage.hostile)?;
    scene.file(below, with_manifest(&hostile, &manifest("trusted", NEEDS)))?;
    scene.file("twin/trusted.wasm", with_manifest(&hostile, &manifest("trusted", NEEDS)))?;
    run(scene, "../twin/trusted.wasm", &[])?.all_done().map_err(|error| format!("the trusted tool: {error}"))?;
    Ok(())
}

fn steps() -> Value {
    json!({"steps": [{"do": "read", "path": "/far/key.txt"}]})
}

fn run(scene: &Scene<'_>, tool: &str, options: &[&str]) -> Result<Ran> {
    if !scene.is_there("policy.toml") {
        scene.file("policy.toml", POLICY)?;
    }
    scene.tool(tool, &[&["--policy", "../policy.toml"], options].concat(), &steps())
}

fn stolen(_scene: &Scene<'_>, ran: &Ran, stops: &[Stop]) -> Result<Verdict> {
    let read = ran.says(SECRET);
    ran.judge(read.then(|| "the tool got a grant that is another's".to_owned()), stops)
}

/// The policy pins the trusted tool to a component; the pinned one works, another one with its name does not.
fn pinned(scene: &Scene<'_>, pin: &str, good: &str, evil: &str) -> Result<Verdict> {
    scene.file("policy.toml", POLICY.replace("[tools.trusted]\n", &format!("[tools.trusted]\n{pin}")))?;
    fs::copy(&scene.stage.hostile, scene.path(good))?;
    let pinned = run(scene, &format!("../{good}"), &[])?;
    let known = !pinned.says("unknown");
    if known {
        pinned.all_done().map_err(|error| format!("the pinned component: {error}"))?;
    } else {
        scene.file("policy.toml", POLICY)?;
    }
    let bytes = with_manifest(&fs::read(&scene.stage.hostile)?, &manifest("trusted", NEEDS));
    scene.file(evil, bytes)?;
    stolen(scene, &run(scene, &format!("../{evil}"), &[])?, &[Stop::refused(&["component"])])
}

fn on_record(scene: &Scene<'_>) -> Result<Verdict> {
    let bytes = with_manifest(&fs::read(&scene.stage.hostile)?, &manifest("trusted", ""));
    scene.file("tools/evil.wasm", bytes)?;
    scene.tollgate(&["install", "../tools/evil.wasm", "--name", "helper"])?.done()?;
    scene.tool("helper", &[], &json!({"answer": "1"}))?.done()?;
    let shown = scene.tollgate(&["audit", "show", "--kind", "call"])?.done()?;
    let effect =
        (!shown.says("helper@")).then(|| "the ledger knows the call by the name that the component gave".to_owned());
    shown.judge(effect, &[Stop::new(0, &["helper@"])])
}
