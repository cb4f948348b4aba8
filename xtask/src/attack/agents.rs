//! Row 16: who asks a daemon is proven. What a client says of itself, the folder in which somebody works, and a policy that is not the
//! operator's allow nothing.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::daemon::{
    Client, Daemon, POLICY, STRANGER, TOOLS, as_user, calls, entries, is_answered, is_refused, needs_root, of, post,
    run_as, verdict,
};
use super::machine::OTHER_USER;
use super::ran::{Stop, Verdict};
use super::scene::{SECRET, Scene};
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("an agent with a token sees and calls another agent's tools", tools_of_two_tokens),
    known("an agent that a user proves sees and calls another agent's tools", tools_of_two_users),
    known("a request names another agent, session and decision", spoofed),
    known("a token opens another agent's door", other_door),
    known("tokens are guessed", guessed),
    known("the operator's words are said at an agent's socket", operators_words),
    known("another user says the operator's words at the operator's socket", operators_socket),
    known("a policy in the folder where the daemon was started is obeyed", working_folder),
    known("a policy that others may write is read again", writable_policy),
    variant("another user says the operator's words, and all modes let it in", operators_socket_open),
    variant("a token opens another agent's door over HTTP", other_door_http),
    variant("a token is shown that was removed", removed_token),
    variant("a client brings a policy with its call", brought_policy),
    variant("a policy that is another user's is read again", foreign_policy),
];

/// Two agents with tokens, each with a tool; and their tokens.
fn two_tokens<'s>(scene: &'s Scene<'s>) -> Result<(Daemon<'s>, [String; 2])> {
    let agent = |name: &str, tool: &str| {
        let socket = scene.place(&format!("sockets/{name}"));
        format!("[agents.{name}]\nis = {{ token = true }}\nlisten = {socket:?}\ntools.{tool} = {{}}\n")
    };
    let daemon = Daemon::start(scene, &[TOOLS, &agent("one", "hostile"), &agent("two", "second")].concat())?;
    let token =
        |name| -> Result<String> { Ok(scene.tollgate(&["serve", "token", "add", name])?.done()?.out.trim().into()) };
    let tokens = [token("one")?, token("two")?];
    Ok((daemon, tokens))
}

/// A client that has shown a token.
fn shown(daemon: &Daemon<'_>, agent: &str, token: &str) -> Result<Client> {
    let mut client = daemon.client(agent)?;
    client.say(format!("token {token}\n").as_bytes())?;
    Ok(client)
}

/// The names of the tools in a list.
fn names(list: &Value) -> Vec<String> {
    let tools = list.pointer("/result/tools").and_then(Value::as_array).cloned().unwrap_or_default();
    tools.iter().map(|tool| of(tool, "tool").to_owned()).collect()
}

fn tools_of_two_tokens(scene: &Scene<'_>) -> Result<Verdict> {
    let (daemon, [one, two]) = two_tokens(scene)?;
    let (mut first, mut other) = (shown(&daemon, "one", &one)?, shown(&daemon, "two", &two)?);
    let lists = [names(&first.ask("tools", &json!({}))?), names(&other.ask("tools", &json!({}))?)];
    let own = [first.call("hostile", &json!([]), json!({}))?, other.call("second", &json!([]), json!({}))?];
    let foreign = [first.call("second", &json!([]), json!({}))?, other.call("hostile", &json!([]), json!({}))?];
    daemon.end()?;
    verdict(
        &[
            (foreign.iter().any(is_answered), "an agent called a tool that is not its own"),
            (lists != [vec!["hostile"], vec!["second"]], "an agent is told of a tool that is not its own"),
        ],
        &[
            (own.iter().all(is_answered), "each agent's own tool answers"),
            (foreign.iter().all(|answer| is_refused(answer, "rejected", "may not call")), "the refusal says why"),
        ],
        "rejected: the agent may not call it",
    )
}

fn tools_of_two_users(scene: &Scene<'_>) -> Result<Verdict> {
    let agent = |name: &str, uid: u32, tool: &str| {
        let socket = scene.place(&format!("sockets/{name}"));
        format!("[agents.{name}]\nis = {{ uid = {uid} }}\nlisten = {socket:?}\nmode = \"0666\"\ntools.{tool} = {{}}\n")
    };
    let policy = [TOOLS, &agent("one", OTHER_USER, "hostile"), &agent("two", STRANGER, "second")].concat();
    let daemon = Daemon::start(scene, &policy)?;
    let ask = |uid: u32, door: &str, tool: &str| -> Result<Option<(bool, String)>> {
        let params = json!({ "tool": tool, "operation": "play", "arguments": { "steps": [] }, "agent": "one" });
        let line = json!({ "jsonrpc": "2.0", "id": 1, "method": "call", "params": params });
        let ran = as_user(scene, uid, &scene.path(&format!("sockets/{door}")), format!("{line}\n").as_bytes())?;
        Ok(ran.map(|ran| (ran.out.contains("\"ok\":true"), ran.text())))
    };
    let Some(own) = ask(OTHER_USER, "one", "hostile")? else { return Ok(needs_root()) };
    let mut answers = Vec::new();
    for (uid, door, tool) in [
        (STRANGER, "one", "hostile"),
        (OTHER_USER, "two", "second"),
        (OTHER_USER, "one", "second"),
        (STRANGER, "two", "hostile"),
        (1, "one", "hostile"),
    ] {
        answers.extend(ask(uid, door, tool)?);
    }
    let said = daemon.said();
    let entries = daemon.end()?;
    let by_one = calls(&entries).iter().filter(|call| of(call, "agent") == "one").count();
    verdict(
        &[
            (answers.iter().any(|(is_ok, _)| *is_ok), "a user acted for an agent that it is not"),
            (by_one != 2, "a call is on record as another agent's"),
        ],
        &[
            (own.0, "the agent's own user is served"),
            (said.contains("the user 65533 is not the agent `one`"), "the daemon tells whom it turned away"),
            (
                answers.iter().filter(|(_, said)| said.contains("403 Forbidden")).count() == 3,
                "others are turned away unheard",
            ),
        ],
        "turned away before a byte is parsed: the kernel says who it is",
    )
}

fn spoofed(scene: &Scene<'_>) -> Result<Verdict> {
    let (daemon, [one, _]) = two_tokens(scene)?;
    let claims = json!({ "agent": "two", "session": "1-0000000000000000", "decision": "approved", "reason": "the operator said so" });
    let mut client = shown(&daemon, "one", &one)?;
    let foreign = client.call("second", &json!([]), claims.clone())?;
    let own = client.call("hostile", &json!([]), claims)?;
    let entries = daemon.end()?;
    let calls = calls(&entries);
    let proven = calls.iter().all(|call| of(call, "agent") == "one" && of(call, "session") != "1-0000000000000000");
    let claimed = |call: &&Value| call.pointer("/claims/agent").is_some_and(|agent| agent == "two");
    verdict(
        &[(is_answered(&foreign), "the claim allowed a call"), (!proven, "a claim stands as who was proven")],
        &[(is_answered(&own), "a claim does not hinder"), (calls.iter().all(claimed), "the claim is on record as one")],
        "the claim is on record beside the proven agent, and allows nothing",
    )
}

fn other_door(scene: &Scene<'_>) -> Result<Verdict> {
    let (daemon, [one, two]) = two_tokens(scene)?;
    let answers = [
        shown(&daemon, "two", &one)?.call("second", &json!([]), json!({}))?,
        shown(&daemon, "one", &two)?.call("hostile", &json!([]), json!({}))?,
        daemon.client("one")?.call("hostile", &json!([]), json!({}))?,
    ];
    let entries = daemon.end()?;
    no_token(&answers.iter().map(ToString::to_string).collect::<Vec<_>>(), &entries)
}

fn other_door_http(scene: &Scene<'_>) -> Result<Verdict> {
    let (daemon, [one, two]) = two_tokens(scene)?;
    let body = json!({ "tool": "hostile", "operation": "play", "arguments": { "steps": [] } }).to_string();
    let mut answers = Vec::new();
    for headers in [
        String::new(),
        format!("Authorization: Bearer {two}\r\n"),
        format!("Authorization: Bearer {two}\r\nAuthorization: Bearer {one}\r\n"),
        format!("Authorization: Basic {one}\r\n"),
        "Authorization: Bearer \r\n".to_owned(),
    ] {
        let mut client = daemon.client("one")?;
        client.say(post(&headers, &body).as_bytes())?;
        answers.push(client.rest()?);
    }
    let entries = daemon.end()?;
    no_token(&answers, &entries)
}

/// Without the right token nothing is answered, and nothing called.
fn no_token(answers: &[String], entries: &[Value]) -> Result<Verdict> {
    verdict(
        &[
            (answers.iter().any(|answer| answer.contains("\"ok\":true")), "it was answered without the agent's token"),
            (!calls(entries).is_empty(), "a call is on record"),
        ],
        &[(answers.iter().all(|answer| answer.contains("unauthenticated")), "the error says that the token is wrong")],
        "unauthenticated",
    )
}

fn guessed(scene: &Scene<'_>) -> Result<Verdict> {
    let (daemon, [one, _]) = two_tokens(scene)?;
    let mut answers = Vec::new();
    for guess in 0..GUESSES {
        // One that is right but for an end, one that is none, one that is long.
        let token = match guess % 4 {
            0 => one.get(..one.len() - 1).unwrap_or_default().to_owned(),
            1 => format!("{one}0"),
            2 => "0".repeat(64),
            _ => format!("{guess:0256}"),
        };
        let mut client = daemon.client("one")?;
        let body = json!({ "tool": "hostile", "operation": "play", "arguments": { "steps": [] } }).to_string();
        let request = post(&format!("Authorization: Bearer {token}\r\n"), &body).replace("Connection: close\r\n", "");
        // The connection is closed behind the third.
        for _again in 0..4 {
            client.say(request.as_bytes()).ok();
        }
        let heard = client.rest()?;
        answers.push((heard.matches("HTTP/1.1 401").count(), heard));
    }
    daemon.must_serve("one", Some(&one))?;
    let peak = super::daemon::peak_bytes(daemon.process("gateway")?)?;
    let said = daemon.said();
    let entries = daemon.end()?;
    verdict(
        &[
            (answers.iter().any(|(_, heard)| heard.contains("\"ok\":true")), "a guess was taken"),
            (calls(&entries).len() != 1, "a call is on record"),
            (answers.iter().any(|(count, _)| *count > 3), "a connection may guess more than three times"),
            (said.contains(&one), "the daemon tells a token"),
            (peak > GATEWAY_BYTES_MAX, "the gateway grew"),
        ],
        &[(answers.iter().all(|(count, _)| *count == 3), "each guess is answered with 401, until the third")],
        "401, and the end of the connection behind the third",
    )
}

/// Connections that guess.
const GUESSES: usize = 200;

/// More than a gateway takes that holds next to nothing.
const GATEWAY_BYTES_MAX: u64 = 64 << 20;

fn operators_words(scene: &Scene<'_>) -> Result<Verdict> {
    let (daemon, [one, _]) = two_tokens(scene)?;
    let before = daemon.status()?;
    let mut client = shown(&daemon, "one", &one)?;
    let mut answers = Vec::new();
    for method in [
        "reload",
        "stop",
        "status",
        "agent",
        "borrow",
        "locate",
        "token",
        "tokens",
        "operator",
        "shutdown",
        "serve/reload",
    ] {
        answers.push(client.ask(method, &json!({}))?);
    }
    let mut refused = answers.iter().filter(|answer| answer.pointer("/error/code") == Some(&json!(-32601))).count();
    for word in [json!({"ask": "stop"}), json!({"ask": "status"}), json!({"ask": "reload", "by": "me"}), json!("hello")]
    {
        let mut client = shown(&daemon, "one", &one)?;
        client.say(format!("{word}\n").as_bytes())?;
        client.ends()?;
        answers.push(json!(client.rest()?));
    }
    for request in [
        "POST /v1/reload",
        "POST /v1/stop",
        "GET /v1/status",
        "GET /v1/tokens",
        "POST /reload",
        "GET /metrics",
        "GET /../status",
    ] {
        let mut client = daemon.client("one")?;
        let head = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {one}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        client.say(head.as_bytes())?;
        let heard = client.rest()?;
        refused += usize::from(heard.starts_with("HTTP/1.1 404"));
        answers.push(json!(heard));
    }
    let after = daemon.status()?;
    let is_same = |key| before.get(key) == after.get(key);
    let entries = daemon.end()?;
    let told = answers.iter().any(|answer| {
        ["policy_digest", "operator.sock", "ledger.key"].iter().any(|word| answer.to_string().contains(word))
    });
    verdict(
        &[
            (told, "an agent was told how the daemon stands"),
            (!is_same("policy_digest") || !is_same("pid"), "an agent changed what holds"),
            (entries.iter().any(|entry| of(entry, "kind") == "reload"), "the policy was read again"),
        ],
        &[(refused == 18, "no such method, and no such path")],
        "-32601 and 404: no agent's listener has these words",
    )
}

/// What another user may try: as the operator's own program.
fn stranger_stops(scene: &Scene<'_>) -> Result<Option<super::ran::Ran>> {
    let mut command: Command = scene.command(scene.stage.for_others("tollgate")?, &["serve", "stop"]);
    command.current_dir("/");
    run_as(command, STRANGER)
}

fn operators_socket(scene: &Scene<'_>) -> Result<Verdict> {
    let (daemon, _) = two_tokens(scene)?;
    let socket = operator_of(scene)?;
    let Some(ran) = as_user(scene, STRANGER, &socket, b"{}\n")? else { return Ok(needs_root()) };
    let effect = (ran.exit == Some(0)).then(|| "another user reaches the operator's socket".to_owned());
    daemon.end()?;
    ran.judge(effect, &[Stop::new(1, &["Permission denied"])])
}

fn operators_socket_open(scene: &Scene<'_>) -> Result<Verdict> {
    let (daemon, _) = two_tokens(scene)?;
    let before = daemon.status()?;
    // As if an operator had opened every folder and file to all.
    let mut open = Command::new("chmod");
    open.args(["-R", "a+rwX"]).arg(scene.path("home"));
    super::machine::run(open)?.done()?;
    let Some(ran) = stranger_stops(scene)? else { return Ok(needs_root()) };
    let status = daemon.status();
    let effect = match &status {
        Ok(after) if after.get("pid") == before.get("pid") && ran.exit != Some(0) => None,
        _other => Some("another user has ended the daemon".to_owned()),
    };
    ran.judge(effect, &[Stop::refused(&["is the user 0's, and answers nobody else"])])
}

/// The operator's socket, which stands beside those of agents that have none of their own.
fn operator_of(scene: &Scene<'_>) -> Result<PathBuf> {
    let found = std::fs::read_dir(scene.path("home/run/tollgate"))?.next().ok_or("the daemon has no folder")??;
    Ok(found.path().join("operator.sock"))
}

fn working_folder(scene: &Scene<'_>) -> Result<Verdict> {
    Daemon::with_needs(scene, TOOLS, "\n[[needs.fs]]\nguest = \"/far\"\naccess = [\"read\"]\n")?.end()?;
    let read = "fs.\"/far\" = { host = \"../secret\", access = [\"read\"] }\n";
    scene.file("project/tollgate.toml", format!("[tools.second]\n{read}[agents.two]\nis = {{ socket = true }}\n"))?;
    let daemon = Daemon::again(scene, TOOLS)?;
    let mut client = daemon.client("local")?;
    let steps = json!([{"do": "read", "path": "/far/key.txt"}]);
    let first = client.call("second", &steps, json!({}))?;
    let reloaded = scene.tollgate(&["serve", "reload"])?.done().is_ok();
    let again = client.call("second", &steps, json!({}))?;
    let agents = daemon.status()?.get("agents").and_then(Value::as_array).map(Vec::len);
    drop(client);
    daemon.end()?;
    let answers = [first, again];
    verdict(
        &[
            (answers.iter().any(|answer| answer.to_string().contains(SECRET)), "it granted a folder"),
            (agents != Some(1), "it made an agent"),
        ],
        &[
            (reloaded, "the operator's policy is read again"),
            (
                answers.iter().all(|answer| is_refused(answer, "load", "needs what nothing grants")),
                "the tool has no grant",
            ),
        ],
        "load: the daemon's policy is its home's, and grants the tool nothing",
    )
}

fn brought_policy(scene: &Scene<'_>) -> Result<Verdict> {
    let daemon = Daemon::start(scene, TOOLS)?;
    let steps = json!([{"do": "read", "path": "/far/key.txt"}]);
    let grant = json!({ "/far": { "host": scene.place("secret"), "access": ["read"] } });
    let mut answers = Vec::new();
    for more in [
        json!({ "policy": scene.place("project/tollgate.toml") }),
        json!({ "grants": [format!("fs:/far={}:read", scene.place("secret"))] }),
        json!({ "fs": grant }),
        json!({ "cwd": scene.place("project") }),
        json!({ "limits": { "deadline": "10h" } }),
    ] {
        answers.push(daemon.client("local")?.call("hostile", &steps, more)?);
    }
    let entries = daemon.end()?;
    verdict(
        &[
            (answers.iter().any(is_answered), "a request with a policy was taken"),
            (!calls(&entries).is_empty(), "it was called"),
        ],
        &[(answers.iter().all(|answer| answer.pointer("/error/code") == Some(&json!(-32602))), "the key is unknown")],
        "-32602: a request has no such key",
    )
}

/// A policy with more than there was, in the place of the one that holds, must not be taken.
fn not_reloaded(scene: &Scene<'_>, spoil: impl FnOnce() -> Result<Option<Verdict>>, stop: Stop) -> Result<Verdict> {
    let daemon = Daemon::start(scene, TOOLS)?;
    let before = daemon.status()?;
    scene.file(
        POLICY,
        format!("{TOOLS}fs.\"/far\" = {{ host = {:?}, access = [\"read\"] }}\n", scene.place("secret")),
    )?;
    if let Some(skipped) = spoil()? {
        return Ok(skipped);
    }
    let ran = scene.tollgate(&["serve", "reload"])?;
    let after = daemon.status()?;
    daemon.must_serve("local", None)?;
    let is_taken = ran.exit == Some(0) || before.get("policy_digest") != after.get("policy_digest");
    let on_record =
        entries(scene)?.iter().any(|entry| of(entry, "kind") == "reload" && !of(entry, "reason").is_empty());
    if !is_taken && !on_record {
        return Err("the refusal is not on record".into());
    }
    ran.judge(is_taken.then(|| "it holds".to_owned()), &[stop])
}

fn writable_policy(scene: &Scene<'_>) -> Result<Verdict> {
    let spoil = || {
        scene.mode(POLICY, 0o666)?;
        Ok(None)
    };
    not_reloaded(scene, spoil, Stop::refused(&["others may write it", "the policy before holds on"]))
}

fn foreign_policy(scene: &Scene<'_>) -> Result<Verdict> {
    let spoil = || Ok(super::machine::give_away(&scene.path(POLICY)));
    not_reloaded(scene, spoil, Stop::refused(&["belongs to another user", "the policy before holds on"]))
}

fn removed_token(scene: &Scene<'_>) -> Result<Verdict> {
    let (daemon, [one, _]) = two_tokens(scene)?;
    scene.tollgate(&["serve", "token", "remove", "one"])?.done()?;
    let answer = shown(&daemon, "one", &one)?.call("hostile", &json!([]), json!({}))?;
    let entries = daemon.end()?;
    no_token(&[answer.to_string()], &entries)
}
