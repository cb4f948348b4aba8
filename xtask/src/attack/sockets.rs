//! Row 17: an agent's socket is the daemon's: nobody puts another in its place, takes it away, or has it stand where others decide.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::daemon::{Daemon, STRANGER, TOOLS, id_of, is_answered, is_refused, needs_root, run_as, verdict};
use super::machine::{give_away, give_to_group};
use super::ran::{Stop, Verdict};
use super::scene::{Scene, all_of};
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("a socket stands in a folder that others may change", |scene| {
        scene.dir("open")?;
        scene.mode("open", 0o777)?;
        no_start(scene, "open/one", |_| Ok(None))
    }),
    known("a tool that an agent calls is granted the folder of a socket", |scene| {
        let policy = format!(
            "{TOOLS}fs.\"/s\" = {{ host = {:?}, access = [\"delete\", \"create\"] }}\n",
            scene.place("sockets")
        );
        let needs = "\n[[needs.fs]]\nguest = \"/s\"\naccess = [\"delete\", \"create\"]\n";
        let policy = [policy, agent(scene, "one", "sockets/one", "second")].concat();
        let daemon = Daemon::with_needs(scene, &policy, needs)?;
        let before = id_of(&scene.path("sockets/one"));
        let steps = json!([{"do": "unlink", "path": "/s/one"}, {"do": "make", "path": "/s/one", "data": "x"}]);
        let answer = daemon.client("one")?.call("second", &steps, json!({}))?;
        let is_same = before.is_some() && id_of(&scene.path("sockets/one")) == before;
        let is_told = daemon.said().contains("the sockets of daemons");
        daemon.end()?;
        verdict(
            &[(!is_same, "the socket is gone"), (is_answered(&answer), "the tool runs with that folder")],
            &[
                (is_refused(&answer, "load", "the operator was told why"), "the grant is refused"),
                (is_told, "the operator is told that it reaches the sockets of daemons"),
            ],
            "load: the grant reaches the sockets of daemons",
        )
    }),
    known("another run is granted the folder of an agent's socket", |scene| {
        let daemon = Daemon::start(scene, &[TOOLS, &agent(scene, "one", "sockets/one", "hostile")].concat())?;
        let before = id_of(&scene.path("sockets/one"));
        let steps = json!([{"do": "unlink", "path": "/s/one"}]);
        let ran = scene.hostile(&["--grant", &all_of("/s", "../sockets")], &steps)?;
        let is_same = before.is_some() && id_of(&scene.path("sockets/one")) == before;
        daemon.end()?;
        let effect = (!is_same).then(|| "the socket is gone".to_owned());
        ran.judge(effect, &[Stop::refused(&["the sockets of daemons"])])
    }),
    known("another user replaces or removes a socket", |scene| {
        let daemon = Daemon::start(scene, &[TOOLS, &agent(scene, "one", "sockets/one", "hostile")].concat())?;
        let socket = scene.path("sockets/one");
        let before = id_of(&socket);
        let script = "rm -f \"$1\"; mv \"$1\" \"$1.old\"; ln -sf /dev/null \"$1\"; ln -s /dev/null \"$1.new\"; echo x > \"$1.x\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&socket);
        let Some(ran) = run_as(command, STRANGER)? else { return Ok(needs_root()) };
        let is_same = before.is_some() && id_of(&socket) == before && fs::read_dir(scene.path("sockets"))?.count() == 1;
        daemon.must_serve("one", None)?;
        daemon.end()?;
        verdict(
            &[(!is_same, "another user changed what stands there")],
            &[(ran.text().matches("Permission denied").count() >= 4, "each try is denied")],
            "EACCES: the folder is the operator's alone",
        )
    }),
    known("a link leads from a socket's place to another user's socket", |scene| {
        let theirs = scene.path("theirs");
        fs::create_dir(&theirs)?;
        let _listener = std::os::unix::net::UnixListener::bind(theirs.join("socket"))?;
        scene.link("../theirs/socket", "sockets/one")?;
        let verdict = no_start(scene, "sockets/one", |_| Ok(None));
        if scene.path("sockets/one").is_symlink() {
            verdict
        } else {
            Ok(Verdict::Reached("the link is gone".to_owned()))
        }
    }),
    variant("another user's socket is in the place of one", |scene| {
        scene.dir("sockets")?;
        let _listener = std::os::unix::net::UnixListener::bind(scene.path("sockets/one"))?;
        no_start(scene, "sockets/one", |place| Ok(give_away(place)))
    }),
    variant("a file is in the place of a socket", |scene| {
        scene.file("sockets/one", "kept")?;
        let verdict = no_start(scene, "sockets/one", |_| Ok(None));
        if scene.text("sockets/one").as_deref() == Some("kept") {
            verdict
        } else {
            Ok(Verdict::Reached("the file is gone".to_owned()))
        }
    }),
    variant("a socket stands in a folder like /tmp", |scene| {
        scene.dir("open")?;
        scene.mode("open", 0o1777)?;
        no_start(scene, "open/one", |_| Ok(None))
    }),
    variant("others may change a folder above a socket's folder", |scene| {
        scene.dir("open/own")?;
        scene.mode("open", 0o777)?;
        no_start(scene, "open/own/one", |_| Ok(None))
    }),
    variant("a socket's folder is another user's", |scene| {
        scene.dir("open")?;
        no_start(scene, "open/one", |place| Ok(place.parent().and_then(give_away)))
    }),
    variant("a group may change a socket's folder", |scene| {
        scene.dir("open")?;
        scene.mode("open", 0o775)?;
        no_start(scene, "open/one", |place| Ok(place.parent().and_then(give_to_group)))
    }),
    variant("two agents have one socket, by two paths", |scene| {
        scene.dir("sockets")?;
        scene.link("sockets", "link")?;
        let agents = [agent(scene, "one", "sockets/s", "hostile"), agent(scene, "two", "link/s", "second")].concat();
        refused(scene, &agents, Stop::refused(&["is another agent's"]))
    }),
    variant("an agent's socket is the operator's", |scene| {
        let daemon = Daemon::start(scene, TOOLS)?;
        let folder = fs::read_dir(scene.path("home/run/tollgate"))?.next().ok_or("the daemon has no folder")??.path();
        daemon.end()?;
        let place = folder.join("operator.sock");
        let below = place.strip_prefix(scene.path("")).map_err(|_elsewhere| "the folder is elsewhere")?;
        refused(
            scene,
            &agent(scene, "one", &below.display().to_string(), "hostile"),
            Stop::refused(&["the daemon's own folder"]),
        )
    }),
    variant("a socket that nothing but itself proves is open to all", |scene| {
        let agent = agent(scene, "one", "sockets/one", "hostile").replace("tools.", "mode = \"0666\"\ntools.");
        refused(scene, &agent, Stop::refused(&["lets every user of this machine open the socket"]))
    }),
    variant("a socket that somebody removed is not made again", |scene| {
        let daemon = Daemon::start(scene, &[TOOLS, &agent(scene, "one", "sockets/one", "hostile")].concat())?;
        fs::remove_file(scene.path("sockets/one"))?;
        let reload = scene.tollgate(&["serve", "reload"])?;
        daemon.must_serve("one", None)?;
        daemon.end()?;
        reload.judge(None, &[Stop::new(0, &["the policy was read again"])])
    }),
];

fn agent(scene: &Scene<'_>, name: &str, place: &str, tool: &str) -> String {
    format!("\n[agents.{name}]\nis = {{ socket = true }}\nlisten = {:?}\ntools.{tool} = {{}}\n", scene.place(place))
}

/// No daemon may start with a socket at this place, which `spoil` makes as it should not be.
fn no_start(scene: &Scene<'_>, place: &str, spoil: impl FnOnce(&Path) -> Result<Option<Verdict>>) -> Result<Verdict> {
    if let Some(skipped) = spoil(&scene.path(place))? {
        return Ok(skipped);
    }
    let stops = if place.starts_with("open") { &["others may change it"] } else { &["is no socket of this user"] };
    refused(scene, &agent(scene, "one", place, "hostile"), Stop::refused(stops))
}

/// No daemon may start with these agents.
fn refused(scene: &Scene<'_>, agents: &str, stop: Stop) -> Result<Verdict> {
    scene.file(super::daemon::POLICY, [TOOLS, agents].concat())?;
    let mut command = Command::new("timeout");
    let serve = scene.command(&scene.stage.tollgate, &["serve"]);
    command
        .arg(TIME_LIMIT_S)
        .arg(serve.get_program())
        .args(serve.get_args())
        .current_dir(scene.path("project"))
        .env_clear();
    for (name, value) in serve.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let ran = super::machine::run(command)?;
    let effect = matches!(ran.exit, Some(0 | TIMED_OUT)).then(|| "a daemon serves there".to_owned());
    ran.judge(effect, &[stop])
}

/// What `timeout` says of a command that it ended.
const TIMED_OUT: i32 = 124;
/// How long a daemon may take that does not start.
const TIME_LIMIT_S: &str = "5";
