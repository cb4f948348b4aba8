//! MCP by lines, spoken by hand: both eras, results byte by byte, cancelling, and clients that do what they may not.

use serde_json::{Value, json};
use tollgate_gateway::protocol::{Asked, Claims, GatewayLimits, Named, ToGateway};

use crate::daemon::{CALL_ID, Client, Daemon, LIMITS, MCP_LIST, RECEIPT, call_line};

/// What a client of the first era opens with.
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}"#;

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// What each request of the second era has.
const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"}"#;

fn request(id: impl std::fmt::Display, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
}

/// One of the second era.
fn modern(id: impl std::fmt::Display, method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    request(id, method, &format!(r#""_meta":{{{META}}}{comma}{params}"#))
}

fn call(id: impl std::fmt::Display, name: &str, arguments: &str) -> String {
    request(id, "tools/call", &format!(r#""name":"{name}","arguments":{arguments}"#))
}

fn json_of(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

fn initialized(daemon: &Daemon) -> Client {
    let mut client = daemon.client();
    client.ask(INITIALIZE);
    client.send(format!("{INITIALIZED}\n"));
    client
}

#[test]
fn the_first_era() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    assert_eq!(client.ask(r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#), r#"{"jsonrpc":"2.0","id":9,"result":{}}"#);
    let opened = json_of(&client.ask(INITIALIZE));
    assert_eq!(opened["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(opened["result"]["capabilities"], json!({ "resources": {}, "tools": { "listChanged": true } }));
    assert_eq!(opened["result"]["serverInfo"]["name"], "tollgate");
    client.send(format!("{INITIALIZED}\n"));
    assert_eq!(
        client.ask(&request(1, "tools/list", "")),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"ttlMs":60000,"cacheScope":"private",{}}}}}"#,
            MCP_LIST.strip_prefix('{').unwrap().strip_suffix('}').unwrap()
        )
    );
    assert_eq!(
        client.ask(&call(2, "echo_say", r#"{"b":1.50, "a":"é"}"#)),
        r#"{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"{\"b\":1.50, \"a\":\"é\"}"},{"type":"resource_link","uri":"tollgate://receipt/c","name":"receipt","title":"Receipt of the call","mimeType":"text/plain"}],"structuredContent":{"b":1.50, "a":"é"},"isError":false,"_meta":{"dev.tollgate/call":"c"}}}"#
    );
    assert_eq!(client.ask(&request(3, "ping", "")), r#"{"jsonrpc":"2.0","id":3,"result":{}}"#);
}

#[test]
fn the_second_era() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    let found = json_of(&client.ask(&modern(1, "server/discover", "")));
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")), "{found}");
    assert_eq!(found["result"]["resultType"], "complete");
    let list = json_of(&client.ask(&modern(2, "tools/list", "")));
    let kept = [&list["result"]["resultType"], &list["result"]["ttlMs"], &list["result"]["cacheScope"]];
    assert_eq!(kept, [&json!("complete"), &json!(60000), &json!("private")]);
    assert_eq!(list["result"]["tools"], json_of(MCP_LIST)["tools"]);
    let called = json_of(&client.ask(&modern(3, "tools/call", r#""name":"echo_say","arguments":{"a":1}"#)));
    assert_eq!(called["result"]["structuredContent"], json!({ "a": 1 }));
    assert_eq!(called["result"]["resultType"], "complete");
    // It opens with any request, too.
    let mut other = daemon.client();
    assert_eq!(json_of(&other.ask(&modern(1, "tools/list", "")))["result"]["tools"], list["result"]["tools"]);
    // And has no ping any more.
    assert_eq!(json_of(&other.ask(&modern(2, "ping", "")))["error"]["code"], -32601);
}

#[test]
fn arguments_reach_the_tool_byte_by_byte_and_claims_as_claims() {
    let daemon = Daemon::start(LIMITS);
    let mut client = initialized(&daemon);
    let meta = r#""_meta":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01","dev.tollgate/agent":"root","dev.tollgate/session":"s","dev.tollgate/decision":"d","dev.tollgate/reason":"r"}"#;
    let arguments = r#"{"n": 1.00000000000000000000000001, "e":"\u00e9"}"#;
    client.ask(&request(1, "tools/call", &format!(r#""name":"echo_say",{meta},"arguments":{arguments}"#)));
    let asked = daemon.known.asked.lock().unwrap();
    let text = |text: &str| Some(text.to_owned());
    let trace = text("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
    let claims = Claims { agent: text("root"), session: text("s"), decision: text("d"), reason: text("r"), trace };
    let named = Named::Offered { name: "echo_say".to_owned() };
    let call = Asked::Call { client: client.number, request: 1, named, claims, logs: false };
    assert_eq!(asked[0], (call, [arguments.into(), Vec::new(), Vec::new()]));
}

#[test]
fn a_claim_that_is_too_long_makes_no_call() {
    let daemon = Daemon::start(LIMITS);
    let mut client = initialized(&daemon);
    let long = format!(r#""name":"echo_say","_meta":{{"dev.tollgate/reason":"{}"}}"#, "x".repeat((16 << 10) + 1));
    assert_eq!(json_of(&client.ask(&request(1, "tools/call", &long)))["error"]["code"], -32602);
    assert_eq!(daemon.asked(), 0);
}

#[test]
fn failures_are_results_that_the_model_sees() {
    let daemon = Daemon::start(LIMITS);
    let mut client = initialized(&daemon);
    assert_eq!(
        client.ask(&call(1, "fail-denied_x", "{}")),
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"it is denied\nrule: fs.write\nAnother way is denied too."},{"type":"resource_link","uri":"tollgate://receipt/c","name":"receipt","title":"Receipt of the call","mimeType":"text/plain"}],"isError":true,"_meta":{"dev.tollgate/call":"c","dev.tollgate/class":"violation","dev.tollgate/rule":"fs.write"}}}"#
    );
    assert_eq!(
        client.ask(&call(2, "fail-arguments_x", "{}")),
        r#"{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"it is arguments\n- /a: is missing\n- /b: is no text"},{"type":"resource_link","uri":"tollgate://receipt/c","name":"receipt","title":"Receipt of the call","mimeType":"text/plain"}],"isError":true,"_meta":{"dev.tollgate/call":"c","dev.tollgate/class":"rejected"}}}"#
    );
    for class in ["cap", "trap", "tool", "busy", "load", "internal"] {
        let result = &json_of(&client.ask(&call(3, &format!("fail-{class}_x"), "{}")))["result"];
        assert_eq!((&result["isError"], &result["structuredContent"]), (&json!(true), &Value::Null), "{class}");
        assert_eq!(result["_meta"]["dev.tollgate/class"], class);
    }
    let output = &json_of(&client.ask(&call(4, "no-json_x", "{}")))["result"];
    assert_eq!(output["_meta"]["dev.tollgate/class"], "output");
}

#[test]
fn what_is_no_tool_is_an_error_of_the_request() {
    let daemon = Daemon::start(LIMITS);
    let mut client = initialized(&daemon);
    let unknown = json_of(&client.ask(&call(1, "nothing", "{}")));
    assert_eq!(unknown["error"], json!({ "code": -32602, "message": "it is unknown-tool" }));
    assert_eq!(json_of(&client.ask(&call(2, "echo_say", "[1]")))["error"]["code"], -32602);
    assert_eq!(json_of(&client.ask(&request(3, "tools/call", "")))["error"]["code"], -32602);
    assert_eq!(json_of(&client.ask(&request(4, "tools/list", r#""cursor":"x""#)))["error"]["code"], -32602);
    for method in
        ["resources/subscribe", "prompts/list", "logging/setLevel", "completion/complete", "tasks/get", "call"]
    {
        let answer = json_of(&client.ask(&request(5, method, "")));
        assert!(answer["error"]["code"].as_i64().is_some(), "{method}: {answer}");
    }
    assert_eq!(daemon.calls(), ["nothing"]);
}

#[test]
fn a_receipt_is_a_resource_of_its_calls_name() {
    let daemon = Daemon::start(LIMITS);
    for (mut client, ask, missing) in [
        (initialized(&daemon), request as fn(i32, &str, &str) -> String, -32002),
        (daemon.client(), modern as fn(i32, &str, &str) -> String, -32602),
    ] {
        let mut answer = |method: &str, params: &str| json_of(&client.ask(&ask(1, method, params)));
        let list = answer("resources/list", "");
        assert_eq!(list["result"]["resources"], json!([]), "{list}");
        let templates = answer("resources/templates/list", "");
        let template = &templates["result"]["resourceTemplates"];
        assert_eq!(template.as_array().unwrap().len(), 1, "{templates}");
        assert_eq!(template[0]["uriTemplate"], "tollgate://receipt/{call}");
        for list in ["resources/list", "resources/templates/list"] {
            assert_eq!(answer(list, r#""cursor":"x""#)["error"]["code"], -32602);
        }
        let uri = format!("tollgate://receipt/{CALL_ID}");
        let read = answer("resources/read", &format!(r#""uri":"{uri}""#));
        let contents = json!([{ "uri": uri, "mimeType": "text/plain", "text": RECEIPT }]);
        assert_eq!(read["result"]["contents"], contents, "{read}");
        let upper = uri.to_uppercase();
        for uri in
            ["tollgate://receipt/00000000000000000000000000000000", "tollgate://receipt/", "file:///etc/passwd", &upper]
        {
            let none = answer("resources/read", &format!(r#""uri":"{uri}""#));
            assert_eq!(none["error"]["code"], missing, "{uri}: {none}");
        }
    }
    let asked = daemon.known.asked.lock().unwrap();
    let calls = asked.iter().filter(|(asked, _)| matches!(asked, Asked::Receipt { .. })).count();
    assert_eq!(calls, 4, "what can be no call's name is not asked of the daemon");
}

#[test]
fn a_client_of_before_2025_06_18_gets_no_link() {
    let daemon = Daemon::start(LIMITS);
    for (version, links) in [("2024-11-05", false), ("2025-03-26", false), ("2025-06-18", true), ("2025-11-25", true)] {
        let mut client = daemon.client();
        client.ask(&INITIALIZE.replace("2025-11-25", version));
        client.send(format!("{INITIALIZED}\n"));
        let content = json_of(&client.ask(&call(1, "echo_say", "{}")))["result"]["content"].clone();
        let kinds: Vec<&str> =
            content.as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
        assert_eq!(kinds.as_slice(), if links { &["text", "resource_link"][..] } else { &["text"] }, "{version}");
    }
}

#[test]
fn cancelling_ends_the_work_in_both_eras() {
    let daemon = Daemon::with(LIMITS, false, 1);
    let cancel = |id: u8| {
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"r"}}}}"#)
    };
    let mut old = initialized(&daemon);
    old.send(format!("{}\n", call(1, "wait_x", "{}")));
    daemon.running(1);
    old.send(format!("{}\n", cancel(1)));
    daemon.cancelled(1);
    // Nothing follows for the request that was taken back.
    assert!(old.ask(&call(2, "echo_say", "{}")).contains(r#""id":2,"#));
    let mut new = daemon.client();
    new.send(format!("{}\n", modern(1, "tools/call", r#""name":"wait_y","arguments":{}"#)));
    daemon.running(1);
    new.send(format!("{}\n", cancel(1)));
    daemon.cancelled(2);
    assert!(new.ask(&modern(2, "tools/call", r#""name":"echo_say""#)).contains(r#""id":2,"#));
}

#[test]
fn a_client_that_goes_withdraws_its_calls() {
    let daemon = Daemon::start(LIMITS);
    let mut client = initialized(&daemon);
    client.send(format!("{}\n{}\n", call(1, "wait_x", "{}"), call(2, "wait_y", "{}")));
    daemon.running(2);
    client.hang_up();
    daemon.cancelled(2);
    daemon.closed(&client);
}

#[test]
fn an_id_in_use_is_refused_and_the_first_goes_on() {
    let daemon = Daemon::start(LIMITS);
    let mut client = initialized(&daemon);
    client.send(format!("{}\n", call("\"a\"", "wait-z_x", "{}")));
    daemon.running(1);
    let refused = json_of(&client.ask(&call("\"\\u0061\"", "echo_say", "{}")));
    assert_eq!(refused["error"]["message"], "the id \"a\" is still in use");
    daemon.release("z");
    assert!(client.line().contains(r#""id":"a","result""#));
    assert!(client.ask(&call("\"a\"", "echo_say", "{}")).contains(r#""id":"a","result""#));
    assert_eq!(daemon.calls(), ["wait-z", "echo"]);
}

#[test]
fn no_more_than_the_queue_is_under_way() {
    let daemon = Daemon::start(GatewayLimits { queue: 2, ..LIMITS });
    let mut client = initialized(&daemon);
    client.send(format!("{}\n{}\n", call(1, "wait-p_x", "{}"), call(2, "wait-q_x", "{}")));
    daemon.running(2);
    for request in [call(3, "echo_say", "{}"), request(3, "ping", "")] {
        assert_eq!(json_of(&client.ask(&request))["error"]["code"], -32001, "{request}");
    }
    // Others are not concerned.
    let mut other = initialized(&daemon);
    assert!(other.ask(&request(1, "tools/list", "")).contains("echo_say"));
    daemon.release("p");
    assert!(client.line().contains(r#""id":1,"result""#));
    assert!(client.ask(&call(1, "echo_say", "{}")).contains(r#""id":1,"result""#));
}

#[test]
fn a_flood_that_is_not_read_stops_being_read() {
    let daemon = Daemon::start(GatewayLimits { idle_ms: 300, ..LIMITS });
    let mut client = initialized(&daemon);
    let ping = format!("{}\n", request(1, "ping", "")).repeat(1 << 10);
    // Sooner or later the gateway takes no more, and closes the connection for that.
    while client.try_send(ping.as_bytes()).is_ok() {}
    daemon.closed(&client);
    assert_eq!(daemon.asked(), 0);
}

/// What it has not taken is held for it: so no more is asked for, however much it asked before, and others are served.
#[test]
fn answers_that_are_not_read_are_few() {
    const LANES: usize = 2;
    let daemon = Daemon::with(GatewayLimits { queue: 64, ..LIMITS }, false, LANES);
    let (mut by_mcp, mut by_lines, mut other) = (initialized(&daemon), daemon.client(), initialized(&daemon));
    let calls = |line: &dyn Fn(usize) -> String| (0..12).map(|id| line(id) + "\n").collect::<String>();
    for (client, lines) in [
        (&mut by_mcp, calls(&|id| call(id, "object_x", "{}"))),
        (&mut by_lines, calls(&|id| call_line(&id.to_string(), "object", ""))),
    ] {
        let before = daemon.asked();
        client.send(lines);
        for id in 0..10 {
            assert!(other.ask(&call(id, "echo_say", "{}")).contains("\"result\""));
        }
        let asked = daemon.asked() - before - 10;
        assert!((1..=2 * LANES).contains(&asked), "{asked} of 12");
        // Once it reads, it has all of them.
        let answers: Vec<String> = (0..12).map(|_| client.line()).collect();
        assert!(answers.iter().all(|answer| answer.len() > 4 << 20 && answer.contains("\"result\"")));
    }
}

/// As fast as it can: each is answered or told that it is one too many, and others are served.
#[test]
fn a_hundred_thousand_requests_keep_nobody_else_waiting() {
    const REQUESTS: usize = 100_000;
    let daemon = Daemon::start(LIMITS);
    let (mut flooding, mut other) = (initialized(&daemon), daemon.client());
    let lines: Vec<String> = (0..1_000).map(|id| format!("{}\n", request(id, "tools/list", ""))).collect();
    let lines = lines.concat();
    for round in 0..REQUESTS / 1_000 {
        let (answers, refusals) = flooding.flood(&lines, 1_000);
        assert_eq!(answers + refusals, 1_000, "each has one answer");
        assert!(answers > 0, "{refusals}");
        if round % 10 == 0 {
            let list = json_of(&other.ask(&modern(round, "tools/list", "")));
            assert_eq!(list["result"]["tools"], json_of(MCP_LIST)["tools"]);
        }
    }
    assert!(flooding.ask(&request(1, "ping", "")).contains(r#""id":1"#));
}

#[test]
fn an_open_client_may_be_silent_but_not_in_the_midst_of_a_line() {
    let daemon = Daemon::start(GatewayLimits { idle_ms: 150, handshake_ms: 300, ..LIMITS });
    let mut silent = initialized(&daemon);
    let mut half = initialized(&daemon);
    half.send("{\"jsonrpc\"");
    daemon.closed(&half);
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert!(silent.ask(&request(1, "ping", "")).contains(r#""id":1"#));
}

#[test]
fn lines_that_are_none() {
    let daemon = Daemon::start(GatewayLimits { body_bytes: 100_000, ..LIMITS });
    let mut client = initialized(&daemon);
    assert_eq!(json_of(&client.ask("[]"))["error"]["code"], -32600);
    assert_eq!(json_of(&client.ask("{"))["error"]["code"], -32700);
    let long = request(1, "tools/list", &format!(r#""x":"{}""#, "x".repeat(70_000)));
    assert_eq!(json_of(&client.ask(&long))["error"]["code"], -32600);
    // The arguments of a call may be long.
    let arguments = format!(r#"{{"x":"{}"}}"#, "x".repeat(90_000));
    assert!(client.ask(&call(2, "echo_say", &arguments)).contains("structuredContent"));
    // Answers and notes of clients are for nobody.
    client
        .send("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n");
    assert!(client.ask(&request(3, "ping", "")).contains(r#""id":3"#));
    let too_long = client.ask(&call(4, "echo_say", &format!(r#"{{"x":"{}"}}"#, "x".repeat(100_000))));
    assert_eq!(json_of(&too_long)["error"]["code"], -32700);
    assert_eq!(client.rest(), "");
}

#[test]
fn a_version_that_lies_changes_nothing_for_others() {
    let daemon = Daemon::start(LIMITS);
    let mut future = daemon.client();
    let opened = future.ask(&INITIALIZE.replace("2025-11-25", "2099-01-01"));
    assert_eq!(json_of(&opened)["result"]["protocolVersion"], "2025-11-25");
    let mut stateless = daemon.client();
    let refused = stateless.ask(&modern(1, "tools/list", "").replace("2026-07-28", "2099-01-01"));
    assert_eq!(json_of(&refused)["error"]["code"], -32022);
    // What lacks what the era asks for is told so.
    let bare = request(2, "tools/list", r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#);
    assert_eq!(json_of(&stateless.ask(&bare))["error"]["code"], -32602);
    let mut after = daemon.client();
    assert_eq!(
        json_of(&after.ask(&INITIALIZE.replace("2025-11-25", "2026-07-28")))["result"]["protocolVersion"],
        "2025-11-25"
    );
    let mut other = initialized(&daemon);
    assert!(other.ask(&request(1, "tools/list", "")).contains("echo_say"));
    // Our own protocol stays what a connection began with.
    let mut own = daemon.client();
    own.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools"}"#);
    assert_eq!(json_of(&own.ask(INITIALIZE))["error"]["code"], -32601);
}

#[test]
fn changes_of_the_list_are_pushed_to_who_listens() {
    let daemon = Daemon::start(LIMITS);
    let mut old = initialized(&daemon);
    old.ask(&request(1, "ping", ""));
    let mut new = daemon.client();
    let acknowledged = json_of(&new.ask(&modern(
        "\"sub\"",
        "subscriptions/listen",
        r#""notifications":{"toolsListChanged":true,"promptsListChanged":true}"#,
    )));
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["params"]["notifications"], json!({ "toolsListChanged": true }));
    let mut deaf = daemon.client();
    deaf.ask(&modern(1, "tools/list", ""));
    daemon.say(&ToGateway::Changed);
    assert_eq!(json_of(&old.line())["method"], "notifications/tools/list_changed");
    let changed = json_of(&new.line());
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "sub");
    assert!(deaf.ask(&modern(2, "tools/list", "")).contains(r#""id":2"#));
    // A listener holds up no end.
    daemon.say(&ToGateway::Drain);
    assert_eq!(json_of(&new.line())["id"], "sub");
    assert_eq!((new.rest(), old.rest(), deaf.rest()), Default::default());
    daemon.ended();
}

#[test]
fn a_drain_lets_calls_end() {
    let daemon = Daemon::start(LIMITS);
    let mut client = initialized(&daemon);
    client.send(format!("{}\n", call(1, "wait-d_x", "{}")));
    daemon.running(1);
    daemon.say(&ToGateway::Drain);
    daemon.release("d");
    assert!(client.line().contains(r#""id":1,"result""#));
    assert_eq!(client.rest(), "");
    daemon.ended();
}

#[test]
fn nothing_is_answered_before_the_token() {
    let daemon = Daemon::with(LIMITS, true, 8);
    let mut client = daemon.client();
    let refused = json_of(&client.ask(INITIALIZE));
    assert_eq!(refused["error"]["data"]["error"]["kind"], "unauthenticated");
    let mut client = daemon.client();
    client.send("token right\n");
    assert!(client.ask(INITIALIZE).contains("serverInfo"));
}
