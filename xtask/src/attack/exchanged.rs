//! Row 3: what a grant names stays what it was when the operator named it, and no link that a tool made leads out.

use std::fs;

use serde_json::{Value, json};

use super::ran::{Ran, Stop, Verdict};
use super::scene::{SECRET, Scene, all_of};
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("a granted folder is renamed away, and a link put in its place", |scene| {
        let steps = json!([
            {"do": "rename", "path": "/work/inner", "to": "/work/old"},
            {"do": "symlink", "path": "/work/inner", "data": "private"},
        ]);
        exchanged(scene, &reader("project/work/inner", ""), &steps)
    }),
    known("a link leads out by a second link on its way", |scene| {
        leads_out(
            scene,
            "q",
            json!([
                {"do": "symlink", "path": "/work/p", "data": "."},
                {"do": "symlink", "path": "/work/q", "data": "p/p/../../secret/key.txt"},
            ]),
        )
    }),
    known("a link that is made deep is renamed upwards", |scene| {
        leads_out(
            scene,
            "q",
            deep("../../secret/key.txt", json!({"do": "rename", "path": "/work/a/b/q", "to": "/work/q"})),
        )
    }),
    known("a link that is made deep is hard-linked upwards", |scene| {
        leads_out(
            scene,
            "q",
            deep("../../secret/key.txt", json!({"do": "link", "path": "/work/a/b/q", "to": "/work/q"})),
        )
    }),
    variant("a folder with a deep link in it is renamed upwards", |scene| {
        leads_out(
            scene,
            "c/q",
            json!([
                {"do": "mkdir", "path": "/work/a"},
                {"do": "mkdir", "path": "/work/a/b"},
                {"do": "mkdir", "path": "/work/a/b/c"},
                {"do": "symlink", "path": "/work/a/b/c/q", "data": "../../../secret/key.txt"},
                {"do": "rename", "path": "/work/a/b/c", "to": "/work/c"},
            ]),
        )
    }),
    variant("a link is made by a path through a link to a higher folder", |scene| {
        leads_out(
            scene,
            "q",
            json!([
                {"do": "mkdir", "path": "/work/a"},
                {"do": "mkdir", "path": "/work/a/b"},
                {"do": "symlink", "path": "/work/a/b/up", "data": "../.."},
                {"do": "symlink", "path": "/work/a/b/up/q", "data": "../../secret/key.txt"},
            ]),
        )
    }),
    variant("a link leads out once the folder on its way is a link upwards", |scene| {
        leads_out(
            scene,
            "a/q",
            json!([
                {"do": "mkdir", "path": "/work/a"},
                {"do": "mkdir", "path": "/work/a/d"},
                {"do": "symlink", "path": "/work/a/q", "data": "d/../../../secret/key.txt"},
                {"do": "rmdir", "path": "/work/a/d"},
                {"do": "symlink", "path": "/work/a/d", "data": ".."},
            ]),
        )
    }),
    variant("a link moves from a deep granted folder to a high one", |scene| {
        scene.dir("project/deep/a/b")?;
        let other = all_of("/deep", "deep");
        let steps = json!([
            {"do": "symlink", "path": "/deep/a/b/q", "data": "../../secret/key.txt"},
            {"do": "rename", "path": "/deep/a/b/q", "to": "/work/q"},
        ]);
        led_out(scene, &["--grant", &other], "q", steps)
    }),
    variant("a link has the absolute path of a secret", |scene| {
        let secret = scene.place("secret/key.txt");
        leads_out(scene, "q", json!([{"do": "symlink", "path": "/work/q", "data": secret}]))
    }),
    variant("a link of the operator's that leads inside is moved upwards", |scene| {
        scene.dir("project/work/a/b")?;
        scene.link("../../secret/key.txt", "project/work/a/b/q")?;
        leads_out(scene, "q", json!([{"do": "rename", "path": "/work/a/b/q", "to": "/work/q"}]))
    }),
    variant("the folder above a granted folder is exchanged", |scene| {
        scene.dir("project/work/upper/inner")?;
        scene.dir("project/work/private/inner")?;
        let steps = json!([
            {"do": "rename", "path": "/work/upper", "to": "/work/old"},
            {"do": "symlink", "path": "/work/upper", "data": "private"},
        ]);
        exchanged(scene, &reader("project/work/upper/inner", ""), &steps)
    }),
    variant("a granted folder is renamed away, and a folder put in its place", |scene| {
        let steps = json!([
            {"do": "rename", "path": "/work/inner", "to": "/work/old"},
            {"do": "rename", "path": "/work/private", "to": "/work/inner"},
        ]);
        exchanged(scene, &reader("project/work/inner", ""), &steps)
    }),
    variant("a nested granted folder is exchanged between two runs", |scene| {
        let steps = json!([
            {"do": "rename", "path": "/work/inner", "to": "/work/old"},
            {"do": "symlink", "path": "/work/inner", "data": "private"},
        ]);
        let policy = reader("project/work/inner", ", nested = true");
        scene.dir("project/work/inner")?;
        write_by_second(scene, &policy)?.all_done().map_err(|error| format!("before the exchange: {error}"))?;
        fs::remove_file(scene.path("project/work/inner/marker"))?;
        exchanged(scene, &policy, &steps)
    }),
    variant("a nested granted folder is exchanged for another folder", |scene| {
        let steps = json!([
            {"do": "rename", "path": "/work/inner", "to": "/work/old"},
            {"do": "rename", "path": "/work/private", "to": "/work/inner"},
        ]);
        let policy = reader("project/work/inner", ", nested = true");
        scene.dir("project/work/inner")?;
        write_by_second(scene, &policy)?.all_done().map_err(|error| format!("before the exchange: {error}"))?;
        fs::remove_file(scene.path("project/work/inner/marker"))?;
        exchanged(scene, &policy, &steps)
    }),
    variant("a link to a granted folder was made by a tool under another policy", by_another_policy),
    variant("an operator's link to a granted folder is exchanged by a tool", |scene| {
        scene.dir("project/elsewhere")?;
        scene.link("../elsewhere", "project/work/way")?;
        let steps = json!([
            {"do": "unlink", "path": "/work/way"},
            {"do": "symlink", "path": "/work/way", "data": "private"},
        ]);
        exchanged(scene, &reader("project/work/way", ""), &steps)
    }),
];

/// A tool with `/work` may change all in it; another one writes to a folder that lies there.
fn reader(host: &str, more: &str) -> String {
    format!(
        "[tools.hostile]\nfs.\"/work\" = {{ host = \"project/work\", access = [\"read\", \"write\", \"create\", \"delete\", \
         \"list\", \"metadata\"] }}\n\n[tools.writer]\nfs.\"/in\" = {{ host = \"{host}\", access = [\"create\", \"write\"]{more} }}\n"
    )
}

fn by_another_policy(scene: &Scene<'_>) -> Result<Verdict> {
    scene.dir("project/work/private")?;
    let grant = all_of("/work", "work");
    let steps = json!([{"do": "symlink", "path": "/work/inner", "data": "private"}]);
    scene.hostile(&["--grant", &grant], &steps)?.all_done()?;
    let policy = "[tools.writer]\nfs.\"/in\" = { host = \"project/work/inner\", access = [\"create\", \"write\"] }\n";
    let ran = write_by_second(scene, policy)?;
    let written = find(&scene.path("project/work/private"), "marker");
    ran.judge(written.then(|| "the second tool wrote to the folder that the first one chose".to_owned()), &[ON_THE_WAY])
}

/// A granted folder inside one that a tool may change.
const INSIDE: Stop = Stop::refused(&["nested = true"]);
/// A link on the way to a granted folder, where a tool may make links.
const ON_THE_WAY: Stop = Stop::refused(&["the way there leads through a symbolic link"]);
/// A nested folder that is another one than at its first use.
const OTHER_FOLDER: Stop = Stop::refused(&["another folder stands than the one that was bound"]);
/// A link whose text, where it would stand, leads out.
const LEADS_OUT: Stop = Stop::denied(&["fs:/work:beneath"]);
/// The place of a granted folder.
const PLACE: Stop = Stop::denied(&["fs:/work:place"]);

/// The first tool exchanges the second one's folder by `steps`; then the second one writes, and must not write to `private`.
fn exchanged(scene: &Scene<'_>, policy: &str, steps: &Value) -> Result<Verdict> {
    scene.dir("project/work/inner")?;
    scene.dir("project/work/private")?;
    scene.file("policy.toml", policy)?;
    let first = scene.hostile(&["--policy", "../policy.toml"], steps)?;
    let second = write_by_second(scene, policy)?;
    let written = find(&scene.path("project/work/private"), "marker")
        || (first.exit == Some(0) && find(&scene.path("project/work/inner"), "marker"));
    let effect = written.then(|| format!("the second tool wrote to another folder; the first said {}", first.brief()));
    let judged = if first.exit == Some(0) { &second } else { &first };
    judged.judge(effect, &[INSIDE, ON_THE_WAY, OTHER_FOLDER, PLACE])
}

/// The second tool makes the file `marker` in the folder that it is granted.
fn write_by_second(scene: &Scene<'_>, policy: &str) -> Result<Ran> {
    scene.file("policy.toml", policy)?;
    fs::copy(&scene.stage.hostile, scene.path("tools/writer.wasm"))?;
    let write = json!({"steps": [{"do": "make", "path": "/in/marker", "data": "written"}]});
    scene.tool("../tools/writer.wasm", &["--policy", "../policy.toml"], &write)
}

fn find(folder: &std::path::Path, name: &str) -> bool {
    folder.join(name).exists() || folder.join("inner").join(name).exists()
}

/// The steps that make a link in `/work/a/b`, and move it.
fn deep(text: &str, then: Value) -> Value {
    json!([
        {"do": "mkdir", "path": "/work/a"},
        {"do": "mkdir", "path": "/work/a/b"},
        {"do": "symlink", "path": "/work/a/b/q", "data": text},
        then,
    ])
}

fn leads_out(scene: &Scene<'_>, link: &str, steps: Value) -> Result<Verdict> {
    led_out(scene, &[], link, steps)
}

/// After the steps another program follows the link: it must not get to the secret, which lies beside the granted folder's
/// parent, nor may the steps that make links which stay inside be denied.
fn led_out(scene: &Scene<'_>, options: &[&str], link: &str, steps: Value) -> Result<Verdict> {
    scene.dir("project/work")?;
    let grant = all_of("/work", "work");
    let options = [&["--grant", grant.as_str()], options].concat();
    let inside = json!([
        {"do": "mkdir", "path": "/work/twin"},
        {"do": "make", "path": "/work/twin/target", "data": "inside"},
        {"do": "symlink", "path": "/work/twin/inside", "data": "../twin/target"},
        {"do": "rename", "path": "/work/twin/inside", "to": "/work/twin/moved"},
        {"do": "link", "path": "/work/twin/target", "to": "/work/linked"},
        {"do": "read", "path": "/work/twin/moved", "follow": true},
    ]);
    scene.hostile(&options, &inside)?.all_done()?;
    let ran: Ran = scene.hostile(&options, &steps)?;
    let followed = scene.text(&format!("project/work/{link}"));
    let effect = followed.filter(|text| text == SECRET).map(|_| format!("`{link}` leads to the secret"));
    let outside = fs::read_link(scene.path(&format!("project/work/{link}"))).ok().filter(|text| text.starts_with("/"));
    let effect = effect.or_else(|| outside.map(|text| format!("`{link}` has the text `{}`", text.display())));
    ran.judge(effect, &[LEADS_OUT])
}
