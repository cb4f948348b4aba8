//! Row 1: no tool may change what the next run obeys, nor read what would let it pass something off.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use serde_json::{Value, json};

use super::machine::{is_root, run, run_with_mounts};
use super::ran::{Ran, Stop, Verdict};
use super::scene::{Scene, all_of};
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("a policy is made where none is", |scene| {
        planted(scene, json!([{"do": "make", "path": "/work/tollgate.toml", "data": POLICY}]))
    }),
    known("a file is renamed to a policy", |scene| planted(scene, from_draft("rename", "/work/tollgate.toml"))),
    known("a file is hard-linked as a policy", |scene| planted(scene, from_draft("link", "/work/tollgate.toml"))),
    known("a policy that is a symbolic link is exchanged", link_exchanged),
    known("the found policy is changed while another one is in use", other_policy_in_use),
    known("the key of compiled tools is read, which is made after the check", key_read),
    known("a tool that is run by its path is swapped", tool_swapped),
    known("a tool is planted where no tools are yet", tool_planted),
    variant("a policy is made by a path with detours", |scene| {
        scene.dir("project/a")?;
        planted(scene, json!([{"do": "make", "path": "/work/a/.././a/../tollgate.toml", "data": POLICY}]))
    }),
    variant("a policy is made as a symbolic link", |scene| {
        planted(
            scene,
            json!([
                {"do": "make", "path": "/work/draft", "data": POLICY},
                {"do": "symlink", "path": "/work/tollgate.toml", "data": "draft"},
            ]),
        )
    }),
    variant("a policy is made in a folder where the next run starts", below_the_grant),
    variant("a policy is made through a handle to a folder", |scene| {
        planted(
            scene,
            json!([
                {"do": "open", "path": "/work", "open": ["directory"], "flags": ["read"], "as": "here"},
                {"do": "open", "of": "here", "path": "tollgate.toml", "open": ["create", "truncate"], "flags": ["write"], "as": "f"},
                {"do": "write-handle", "of": "f", "data": POLICY},
            ]),
        )
    }),
    variant("the target of a policy that is a link is changed", link_target),
    variant("an installed tool is swapped by a grant that lies inside its folder", inside_the_tools),
    variant("the way to the ledger is a link that a tool can point elsewhere", way_to_the_ledger),
    variant("the manifest that is given by --manifest is changed", manifest_changed),
    variant("compiled code is planted in the cache before the cache is there", cache_planted),
    variant("this program itself is swapped", program_swapped),
    variant("the policy's folder is mounted inside a granted folder", policy_mounted),
    variant("the policy is taken away by the right to delete alone", policy_deleted),
    variant("a folder with a policy is renamed to where the next run starts", |scene| {
        carried(scene, "/work/staging", "/work/prod")
    }),
    variant("a policy goes along with a folder above it, through a link", |scene| {
        scene.link(".", "project/here")?;
        carried(scene, "/work/here/staging", "/work/prod")
    }),
    variant("a folder with a policy goes into another granted folder", |scene| {
        carried(scene, "/work/staging", "/other/staging")
    }),
    variant("a policy is changed through a link that stands there", |scene| {
        scene.link("sub/../app/tollgate.toml", "project/conf")?;
        scene.dir("project/sub")?;
        by_another_name(scene, "tollgate.toml", "/work/conf")
    }),
    variant("a policy is changed by its other hard link", |scene| {
        scene.file("project/app/copy", KEPT)?;
        fs::hard_link(scene.path("project/app/copy"), scene.path("project/app/tollgate.toml"))?;
        by_another_name(scene, "copy", "/work/app/copy")
    }),
    variant("the file is changed that a policy's name is a link to", |scene| {
        scene.link("kept.toml", "project/app/tollgate.toml")?;
        by_another_name(scene, "kept.toml", "/work/app/kept.toml")
    }),
    variant("a policy is made by a name with a character that has no width", |scene| {
        folded(scene, "toll\u{200b}gate.toml")
    }),
    variant("a policy is made by its short name", |scene| folded(scene, "TOLLGA~1.TOM")),
    variant("a policy is made by a name in wide letters", |scene| folded(scene, "\u{ff54}ollgate.toml")),
    variant("the key is reached by the name of a mount that was moved onto another", |scene| {
        for folder in ["outer/real/tollgate", "other/tollgate", "first", "home/shown"] {
            scene.dir(folder)?;
        }
        key_by_mounts(
            scene,
            "mount --bind ../outer/real ../first; mount --bind ../other ../home/shown; mount --move ../first ../home/shown",
        )
    }),
    variant("the key is reached through an overlay", |scene| {
        scene.dir("outer")?;
        scene.dir("home/shown")?;
        let layers = "mount -t tmpfs none ../outer; cd ../outer; mkdir lower real work; mkdir real/tollgate; mount -t overlay none -o \
                      lowerdir=\"$PWD/lower\",upperdir=\"$PWD/real\",workdir=\"$PWD/work\" ../home/shown; cd ../project";
        if !is_root() {
            return Ok(Verdict::Skipped("needs root, to mount an overlay".to_owned()));
        }
        key_by_mounts(scene, layers)
    }),
    variant("a relative TOLLGATE_HOME takes what a cloned repository accepts", relative_home),
];

/// A policy by which the tool grants itself something.
const POLICY: &str = "[tools.hostile]\nrandom = \"secure\"\n";

/// The steps that make a policy from a draft.
fn from_draft(how: &str, to: &str) -> Value {
    json!([
        {"do": "make", "path": "/work/draft", "data": POLICY},
        {"do": how, "path": "/work/draft", "to": to},
    ])
}

/// What the gate says of a name that a policy could be found by.
const POLICY_NAME: Stop = Stop::denied(&["fs:/work:policy"]);
/// To the tool, the file of that name is not there.
const NOT_THERE: Stop = Stop::new(0, &["no-entry"]);
/// What loading says of a grant that reaches a place that decides.
const HANDS_OVER: Stop = Stop::refused(&["hands over"]);
/// What loading says of a link that is found as the policy.
const A_LINK: Stop = Stop::refused(&["it is a symbolic link"]);

/// Whether the next run obeys a policy by which the tool gets random bytes.
fn obeyed(scene: &Scene<'_>) -> Result<bool> {
    let next = scene.hostile(&[], &json!([{"do": "random", "len": 4}]))?;
    Ok(next.exit == Some(0))
}

/// What is said if the next run obeys.
fn effect_of(scene: &Scene<'_>, made: &str) -> Result<Option<String>> {
    match (scene.is_there(made), obeyed(scene)?) {
        (true, true) => Ok(Some(format!("`{made}` was made, and the next run obeyed it"))),
        (true, false) => Ok(Some(format!("`{made}` was made"))),
        (false, true) => Err("the next run obeyed a policy that is not there".into()),
        (false, false) => Ok(None),
    }
}

/// A project is granted as a whole, and the tool makes a policy in it by `steps`; to make other files is allowed.
fn planted(scene: &Scene<'_>, steps: Value) -> Result<Verdict> {
    let grant = all_of("/work", ".");
    scene.hostile(&["--grant", &grant], &other_files())?.all_done()?;
    let ran = scene.hostile(&["--grant", &grant], &steps)?;
    ran.judge(effect_of(scene, "project/tollgate.toml")?, &[POLICY_NAME])
}

/// Files that decide nothing are made, linked and renamed.
fn other_files() -> Value {
    json!([
        {"do": "make", "path": "/work/other.txt", "data": "other"},
        {"do": "link", "path": "/work/other.txt", "to": "/work/linked.txt"},
        {"do": "rename", "path": "/work/linked.txt", "to": "/work/renamed.txt"},
        {"do": "symlink", "path": "/work/link.txt", "data": "renamed.txt"},
        {"do": "mkdir", "path": "/work/folder"},
    ])
}

fn below_the_grant(scene: &Scene<'_>) -> Result<Verdict> {
    scene.dir("project/app")?;
    let grant = all_of("/work", ".");
    let ran = scene
        .hostile(&["--grant", &grant], &json!([{"do": "make", "path": "/work/app/tollgate.toml", "data": POLICY}]))?;
    let effect = scene.is_there("project/app/tollgate.toml").then(|| "`app/tollgate.toml` was made".to_owned());
    ran.judge(effect, &[POLICY_NAME])
}

fn link_exchanged(scene: &Scene<'_>) -> Result<Verdict> {
    scene.file("etc/policy.toml", "[tools.hostile]\nargs = []\n")?;
    scene.link("../etc/policy.toml", "project/tollgate.toml")?;
    let grant = all_of("/work", ".");
    let ran = scene.hostile(
        &["--grant", &grant],
        &json!([
            {"do": "make", "path": "/work/draft", "data": POLICY},
            {"do": "unlink", "path": "/work/tollgate.toml"},
            {"do": "rename", "path": "/work/draft", "to": "/work/tollgate.toml"},
        ]),
    )?;
    let link = fs::read_link(scene.path("project/tollgate.toml")).is_ok();
    ran.judge((!link).then(|| "the link to the policy was exchanged".to_owned()), &[HANDS_OVER, POLICY_NAME, A_LINK])
}

fn link_target(scene: &Scene<'_>) -> Result<Verdict> {
    scene.file("etc/policy.toml", "[tools.hostile]\nargs = []\n")?;
    scene.link("../etc/policy.toml", "project/tollgate.toml")?;
    let grant = all_of("/etc", "../etc");
    overwritten(scene, &["--grant", &grant], "/etc/policy.toml", "etc/policy.toml", POLICY, &[HANDS_OVER, A_LINK])
}

fn other_policy_in_use(scene: &Scene<'_>) -> Result<Verdict> {
    scene.file("project/tollgate.toml", "[tools.hostile]\nargs = []\n")?;
    scene.file("other.toml", "")?;
    let grant = all_of("/work", ".");
    let options = ["--policy", "../other.toml", "--grant", &grant];
    overwritten(
        scene,
        &options,
        "/work/tollgate.toml",
        "project/tollgate.toml",
        POLICY,
        &[HANDS_OVER, POLICY_NAME, NOT_THERE],
    )
}

/// The tool writes `text` to a file that decides.
fn overwritten(
    scene: &Scene<'_>,
    options: &[&str],
    guest: &str,
    host: &str,
    text: &str,
    stops: &[Stop],
) -> Result<Verdict> {
    let before = scene.text(host);
    let ran = scene.hostile(options, &json!([{"do": "overwrite", "path": guest, "data": text}]))?;
    ran.judge((scene.text(host) != before).then(|| format!("the tool changed `{host}`")), stops)
}

fn key_read(scene: &Scene<'_>) -> Result<Verdict> {
    let key = "home/state/tollgate/artifact.key";
    fs::remove_file(scene.path(key))?;
    fs::remove_dir_all(scene.path("home/cache"))?;
    let (ledger, state) = (scene.place("ledger"), scene.place("home/state"));
    let grant = format!("fs:/state={state}:read");
    let options = ["--ledger", &ledger, "--grant", &grant];
    let ran = scene.hostile(&options, &json!([{"do": "read", "path": "/state/tollgate/artifact.key"}]))?;
    let read = ran.steps().is_ok_and(|steps| steps.iter().any(|step| step.get("ok").is_some()));
    ran.judge(read.then(|| "the tool read the key of compiled tools".to_owned()), &[HANDS_OVER])
}

/// The state is in `home/shown`, which is `outer/real` by another name.
fn key_by_mounts(scene: &Scene<'_>, mounts: &str) -> Result<Verdict> {
    let grant = all_of("/outer", "../outer");
    let steps = json!({"steps": [{"do": "read", "path": "/outer/real/tollgate/artifact.key"}]});
    let ledger = scene.place("ledger");
    let mut command = scene.tool_command("../tools/hostile.wasm", &["--ledger", &ledger, "--grant", &grant], &steps)?;
    command.env("XDG_STATE_HOME", scene.path("home/shown"));
    let ran = run_with_mounts(mounts, &command)?;
    let read = ran.steps().is_ok_and(|steps| steps.iter().any(|step| step.get("ok").is_some()));
    ran.judge(read.then(|| "the tool read the key of compiled tools".to_owned()), &[HANDS_OVER])
}

fn relative_home(scene: &Scene<'_>) -> Result<Verdict> {
    scene.file("project/tollgate.toml", "[tools.hostile]\nenv.SECRET = { host = \"SECRET\" }\n")?;
    let own = |mut command: Command| {
        command.env("TOLLGATE_HOME", "own");
        run(command)
    };
    // The repository's author made this, for the folder that it is cloned to.
    own(scene.command(&scene.stage.tollgate, &["trust"]))?;
    let ran = own(scene.tool_command("../tools/hostile.wasm", &[], &json!({"steps": [{"do": "env"}]}))?)?;
    let effect = (ran.exit == Some(0)).then(|| "a policy was obeyed that the repository itself accepted".to_owned());
    ran.judge(effect, &[Stop::refused(&["TOLLGATE_HOME is the relative path"])])
}

fn tool_swapped(scene: &Scene<'_>) -> Result<Verdict> {
    let grant = all_of("/tools", "../tools");
    overwritten(scene, &["--grant", &grant], "/tools/hostile.wasm", "tools/hostile.wasm", "swapped", &[HANDS_OVER])
}

fn tool_planted(scene: &Scene<'_>) -> Result<Verdict> {
    scene.dir("home/data/tollgate")?;
    let grant = all_of("/data", &scene.place("home/data/tollgate"));
    let digest = format!("sha256:{}", "07".repeat(32));
    let record = json!({"format": 1, "current": digest, "before": null, "versions": [{"version": "1.0.0", "declared": "planted",
        "component": digest, "bytes": 7, "manifest": digest, "from": null, "installed_s": 0}]});
    let ran = scene.hostile(
        &["--grant", &grant],
        &json!([
            {"do": "mkdir", "path": "/data/tools"},
            {"do": "make", "path": "/data/tools/planted.json", "data": record.to_string()},
        ]),
    )?;
    let listed = scene.tollgate(&["list"])?.done()?.says("planted");
    ran.judge(listed.then(|| "`tollgate list` shows the planted tool".to_owned()), &[HANDS_OVER])
}

fn inside_the_tools(scene: &Scene<'_>) -> Result<Verdict> {
    let (wasm, manifest) = (scene.place("helper.wasm"), scene.place("helper.toml"));
    fs::copy(&scene.stage.hostile, &wasm)?;
    scene.file("helper.toml", "[tool]\nname = \"helper\"\nversion = \"1.0.0\"\n\n[[operations]]\nname = \"play\"\n")?;
    scene.tollgate(&["install", &wasm, "--manifest", &manifest])?.done()?;
    let tools = "home/data/tollgate/tools";
    let grant = all_of("/tools", &scene.place(tools));
    let options = ["--grant", grant.as_str()];
    overwritten(scene, &options, "/tools/helper.json", &format!("{tools}/helper.json"), "swapped", &[HANDS_OVER])
}

fn way_to_the_ledger(scene: &Scene<'_>) -> Result<Verdict> {
    scene.dir("records")?;
    scene.link("../records", "project/records")?;
    let grant = all_of("/work", ".");
    let options = ["--ledger", "records/ledger", "--grant", &grant];
    let ran = scene.hostile(
        &options,
        &json!([
            {"do": "mkdir", "path": "/work/elsewhere"},
            {"do": "unlink", "path": "/work/records"},
            {"do": "symlink", "path": "/work/records", "data": "elsewhere"},
        ]),
    )?;
    let moved = fs::read_link(scene.path("project/records")).is_ok_and(|text| text.ends_with("elsewhere"));
    ran.judge(moved.then(|| "the next run would begin another ledger".to_owned()), &[Stop::refused(&["ledger"])])
}

fn manifest_changed(scene: &Scene<'_>) -> Result<Verdict> {
    let manifest = "[tool]\nname = \"hostile\"\nversion = \"1.0.0\"\n\n[[operations]]\nname = \"play\"\n\n[[needs.fs]]\nguest = \"/work\"\naccess = [\"read\", \"write\", \"create\"]\n";
    scene.file("project/needs/hostile.toml", manifest)?;
    let grant = all_of("/work", ".");
    let options = ["--manifest", "needs/hostile.toml", "--grant", &grant];
    overwritten(scene, &options, "/work/needs/hostile.toml", "project/needs/hostile.toml", "x", &[HANDS_OVER])
}

fn cache_planted(scene: &Scene<'_>) -> Result<Verdict> {
    fs::remove_dir_all(scene.path("home/cache"))?;
    scene.dir("home/cache")?;
    let grant = all_of("/cache", &scene.place("home/cache"));
    let ran = scene.hostile(
        &["--grant", &grant],
        &json!([
            {"do": "list", "path": "/cache/tollgate"},
            {"do": "make", "path": "/cache/tollgate/planted", "data": "planted"},
        ]),
    )?;
    let made = scene.is_there("home/cache/tollgate/planted");
    ran.judge(made.then(|| "the tool wrote into the cache".to_owned()), &[HANDS_OVER])
}

fn program_swapped(scene: &Scene<'_>) -> Result<Verdict> {
    fs::create_dir_all(scene.path("project/bin"))?;
    let program = scene.path("project/bin/tollgate");
    // A program of its own: a hard link would be the built one.
    fs::copy(&scene.stage.tollgate, &program)?;
    let before = fs::metadata(&program)?.ino();
    let grant = all_of("/work", ".");
    let input = json!({"steps": [
        {"do": "make", "path": "/work/draft", "data": "#!/bin/sh\n"},
        {"do": "rename", "path": "/work/draft", "to": "/work/bin/tollgate"},
    ]});
    let planned = scene.tool_command("../tools/hostile.wasm", &["--grant", &grant], &input)?;
    let mut command = scene.command(&program, &[]);
    command.args(planned.get_args());
    let ran = run(command)?;
    let swapped = fs::metadata(&program)?.ino() != before;
    ran.judge(swapped.then(|| "the program that runs tools was swapped".to_owned()), &[HANDS_OVER])
}

fn policy_mounted(scene: &Scene<'_>) -> Result<Verdict> {
    scene.file("etc/policy.toml", "[tools.hostile]\nargs = []\n")?;
    scene.dir("project/mounted")?;
    let (from, to) = (scene.place("etc"), scene.place("project/mounted"));
    let grant = all_of("/work", "mounted");
    let input = json!({"steps": [{"do": "overwrite", "path": "/work/policy.toml", "data": POLICY}]});
    let options = ["--policy", "../etc/policy.toml", "--grant", &grant];
    let command = scene.tool_command("../tools/hostile.wasm", &options, &input)?;
    let ran: Ran = run_with_mounts(&format!("mount --bind '{from}' '{to}'"), &command)?;
    let changed = scene.text("etc/policy.toml").is_some_and(|text| text == POLICY);
    ran.judge(changed.then(|| "the tool changed the policy by its other name".to_owned()), &[HANDS_OVER])
}

fn policy_deleted(scene: &Scene<'_>) -> Result<Verdict> {
    scene.file("project/tollgate.toml", "[tools.hostile]\non_violation = \"kill\"\n")?;
    let ran =
        scene.hostile(&["--grant", "fs:/work=.:delete"], &json!([{"do": "unlink", "path": "/work/tollgate.toml"}]))?;
    let gone = !scene.is_there("project/tollgate.toml");
    ran.judge(gone.then(|| "the tool took the policy away".to_owned()), &[HANDS_OVER, POLICY_NAME])
}

/// A folder with a policy of the operator's gets another name.
fn carried(scene: &Scene<'_>, from: &str, to: &str) -> Result<Verdict> {
    scene.file("project/staging/deep/tollgate.toml", POLICY)?;
    scene.dir("other")?;
    let (grant, other) = (all_of("/work", "."), all_of("/other", "../other"));
    let ran =
        scene.hostile(&["--grant", &grant, "--grant", &other], &json!([{"do": "rename", "path": from, "to": to}]))?;
    let stays = scene.is_there("project/staging/deep/tollgate.toml");
    ran.judge((!stays).then(|| "the policy is found under another name".to_owned()), &[POLICY_NAME])
}

/// The policy of a folder of the project, where a later run starts.
const KEPT: &str = "[tools.hostile]\nargs = []\n";

/// The tool writes to the policy of `app`, which is in `file` there, by another name.
fn by_another_name(scene: &Scene<'_>, file: &str, name: &str) -> Result<Verdict> {
    let policy = format!("project/app/{file}");
    if !scene.is_there(&policy) {
        scene.file(&policy, KEPT)?;
    }
    let step = json!([{"do": "overwrite", "path": name, "data": POLICY, "follow": true}]);
    let ran = scene.hostile(&["--grant", &all_of("/work", ".")], &step)?;
    let changed = scene.text(&policy).as_deref() != Some(KEPT);
    ran.judge(changed.then(|| format!("the tool changed `{policy}`")), &[POLICY_NAME])
}

/// The tool makes a file whose name some file system takes for that of a policy.
fn folded(scene: &Scene<'_>, name: &str) -> Result<Verdict> {
    let grant = all_of("/work", ".");
    let step = json!([{"do": "make", "path": format!("/work/{name}"), "data": POLICY}]);
    let ran = scene.hostile(&["--grant", &grant], &step)?;
    let made = scene.is_there(&format!("project/{name}"));
    ran.judge(made.then(|| "the file was made".to_owned()), &[POLICY_NAME])
}
