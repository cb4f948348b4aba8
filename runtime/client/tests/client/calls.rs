//! Calls and their answers, byte by byte.

use std::path::PathBuf;
use std::thread;

use serde_json::json;
use tollgate_client::{Call, Claims, Client, Kind, Usage};

use crate::example;
use crate::fake::{Fake, called, failed, followed};

const CALL: &str = r#"{"jsonrpc":"2.0","id":2,"method":"call","params":{"tool":"word-count","operation":"count","arguments":{"text":"to be"},"stdin":"in","agent":"a","session":"s","decision":"d","reason":"r","trace":"c"}}"#;

const ANSWER: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"ok":true,"call":"c1","output":{"words": 2.00000000000000000001 , "é":"\u00e9\/"},"usage":{"fuel":{"used":1,"cap":2,"percent":50.0},"memory":{"peak_bytes":3,"cap_bytes":4,"percent":75.0},"time":{"wall_us":5,"deadline_us":6,"percent":83.3},"output_bytes":7,"stdio_bytes":8},"stdout":"out\n","stderr":"err","of-later":{}}}"#;

#[test]
fn a_call_and_its_answer() {
    let fake = Fake::new(|peer| {
        peer.hears(CALL);
        peer.spell(ANSWER);
        peer.hears_the_end();
    });
    let text = |text: &str| Some(text.to_owned());
    let claims =
        Claims { agent: text("a"), session: text("s"), decision: text("d"), reason: text("r"), trace: text("c") };
    let call = Call::new("word-count").operation("count").arguments(&json!({ "text": "to be" })).unwrap();
    let reply = fake.client().invoke(call.stdin("in").claims(claims)).unwrap();
    assert_eq!(reply.output, r#"{"words": 2.00000000000000000001 , "é":"\u00e9\/"}"#);
    assert_eq!(reply.json::<serde_json::Value>().unwrap(), json!({ "words": 2.0, "é": "é/" }));
    assert_eq!((reply.call.as_str(), reply.stdout.as_str(), reply.stderr.as_str()), ("c1", "out\n", "err"));
    let usage = Usage {
        fuel_used: 1,
        fuel_cap: 2,
        memory_peak_bytes: 3,
        memory_cap_bytes: 4,
        wall_us: 5,
        deadline_us: 6,
        output_bytes: 7,
        stdio_bytes: 8,
    };
    assert_eq!(reply.usage, usage);
    fake.ends();
}

const TOOLS: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"tool":"word-count","version":"0.1.0","description":"Counts","operations":[{"name":"count","description":"Counts words","input_schema":{"type":"object"},"output_schema":{"type":"integer"}}]},{"tool":"bare","operations":[{"name":"go"}],"of-later":1}],"unavailable":[{"tool":"gone","why":"its folder is not there"}]}}"#;

#[test]
fn tools_are_listed() {
    let fake = Fake::new(|peer| {
        peer.hears(r#"{"jsonrpc":"2.0","id":2,"method":"tools"}"#);
        peer.say(TOOLS);
        peer.hears(r#"{"jsonrpc":"2.0","id":3,"method":"tools"}"#);
        peer.say(&failed(3, "internal"));
    });
    let client = fake.client();
    let listed = client.tools().unwrap();
    assert_eq!(
        (listed.unavailable[0].name.as_str(), listed.unavailable[0].why.as_str()),
        ("gone", "its folder is not there")
    );
    let tools = listed.tools;
    assert_eq!((tools.len(), tools[0].name.as_str()), (2, "word-count"));
    assert_eq!((tools[0].version.as_deref(), tools[0].description.as_deref()), (Some("0.1.0"), Some("Counts")));
    let operation = &tools[0].operations[0];
    assert_eq!((operation.name.as_str(), operation.description.as_deref()), ("count", Some("Counts words")));
    assert_eq!(operation.input_schema, json!({ "type": "object" }));
    assert_eq!(operation.output_schema, json!({ "type": "integer" }));
    let bare = &tools[1];
    assert_eq!((bare.name.as_str(), &bare.version, &bare.description), ("bare", &None, &None));
    assert_eq!((bare.operations[0].name.as_str(), &bare.operations[0].output_schema), ("go", &json!(null)));
    assert_eq!(client.tools().unwrap_err().kind, Kind::Internal);
    fake.ends();
}

/// From eight threads, answered in another order than they were asked in.
#[test]
fn many_calls_are_under_way_at_once() {
    const CALLS: usize = 400;
    let fake = Fake::new(|peer| {
        let mut asked: Vec<serde_json::Value> =
            (0..CALLS).map(|_call| serde_json::from_str(&peer.line()).unwrap()).collect();
        asked.sort_by_key(|request| request["params"]["arguments"].as_u64());
        for request in asked.into_iter().rev() {
            peer.answer(request["id"].as_u64().unwrap(), &request["params"]["arguments"].to_string());
        }
        peer.hears_the_end();
    });
    let client = fake.client();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let client = client.clone();
            thread::spawn(move || {
                let numbers = (0..CALLS / 8).map(|call| call * 8 + thread);
                let calls: Vec<_> =
                    numbers.map(|number| (number, client.start(Call::new("t").arguments(&number).unwrap()))).collect();
                for (number, call) in calls {
                    assert_eq!(call.wait().unwrap().json::<usize>().unwrap(), number);
                }
            })
        })
        .collect();
    drop(client);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    fake.ends();
}

#[test]
fn a_failure_has_its_kind_and_what_remains() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.spell(
            r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"no","data":{"ok":false,"call":"c1","error":{"kind":"violation","message":"not granted","rule":"fs","path":"/a"},"usage":{"fuel":{"used":7}},"stdout":"out","stderr":"err"}}}"#,
        );
        peer.hears(&called(3, "t"));
        peer.say(&failed(3, "unknown-tool"));
        peer.hears(&called(4, "t"));
        peer.say(&failed(4, "of-later"));
        peer.hears(&called(5, "t"));
        peer.answer(5, "null");
    });
    let client = fake.client();
    let failure = client.invoke(Call::new("t")).unwrap_err();
    assert_eq!((&failure.kind, failure.to_string().as_str()), (&Kind::Violation, "not granted"));
    assert_eq!((failure.call.as_deref(), failure.is_known_not_to_have_run()), (Some("c1"), false));
    let remains = &failure.remains;
    assert_eq!(json!(remains.details), json!({ "rule": "fs", "path": "/a" }));
    assert_eq!(remains.usage, Some(Usage { fuel_used: 7, ..Usage::default() }));
    assert_eq!((remains.stdout.as_str(), remains.stderr.as_str()), ("out", "err"));

    let failure = client.invoke(Call::new("t")).unwrap_err();
    assert_eq!((&failure.kind, &failure.call, failure.is_known_not_to_have_run()), (&Kind::UnknownTool, &None, true));
    assert_eq!(failure.remains.usage, None);
    let failure = client.invoke(Call::new("t")).unwrap_err();
    assert_eq!(failure.kind, Kind::Other("of-later".to_owned()));
    assert!(!failure.is_known_not_to_have_run());
    assert_eq!(client.invoke(Call::new("t")).unwrap().output, "null", "the connection is as good as before");
    fake.ends();
}

#[test]
fn what_cannot_be_sent_is_not_sent() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(4, "t"));
        peer.answer(4, "7");
    });
    let client = fake.client_with(Client::options().line_bytes_max(1000));
    let failure = client.invoke(Call::new("t").arguments_text("{},\"tool\":\"other\"")).unwrap_err();
    assert_eq!(failure.message, "the arguments are not JSON: trailing characters at line 1 column 3");
    assert_eq!((&failure.kind, failure.is_known_not_to_have_run()), (&Kind::Rejected, true));
    let failure = client.invoke(Call::new("t").stdin("x".repeat(1000))).unwrap_err();
    assert_eq!(failure.message, "the request has 1088 bytes; the maximum is 1000 (`line_bytes_max`)");
    assert_eq!((&failure.kind, failure.is_known_not_to_have_run()), (&Kind::Rejected, true));
    assert_eq!(client.invoke(Call::new("t")).unwrap().output, "7");
    fake.ends();
}

/// Much more than a socket holds, both ways.
#[test]
fn long_requests_and_long_answers_come_whole() {
    const BYTES: usize = 8 << 20;
    let fake = Fake::new(|peer| {
        let stdin = "x".repeat(BYTES);
        let call = called(2, "t").replace("{}", &format!("{{}},\"stdin\":\"{stdin}\""));
        assert!(peer.line() == call, "the request came whole");
        peer.answer(2, &format!("\"{stdin}\""));
    });
    let stdin = "x".repeat(BYTES);
    let reply = fake.client().invoke(Call::new("t").stdin(stdin.as_str())).unwrap();
    assert!(reply.output == format!("\"{stdin}\""), "the answer came whole");
    fake.ends();
}

#[test]
fn the_example_runs() {
    let fake = Fake::new(|peer| {
        peer.hears(r#"{"jsonrpc":"2.0","id":2,"method":"tools"}"#);
        peer.say(TOOLS);
        let call = followed(3, "t").replace(r#","logs""#, r#","agent":"example","logs""#);
        peer.hears(&call);
        peer.say(r#"{"jsonrpc":"2.0","method":"log","params":{"id":3,"text":"a\u001b[2J\n"}}"#);
        peer.answer(3, "7");
    });
    let mut out = Vec::new();
    let path: PathBuf = fake.path().to_owned();
    example::run(&path, Call::new("t"), &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "word-count count: Counts words\nbare go: \nlog: \"a\\u{1b}[2J\\n\"\nc3: 7 (0 µs)\n"
    );
    fake.ends();
}
