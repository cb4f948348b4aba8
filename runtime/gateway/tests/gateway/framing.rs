//! Bytes of one client never reach another, however their requests are cut and woven into each other.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tollgate_gateway::protocol::GatewayLimits;

use crate::daemon::{Client, Daemon, LIMITS, call_line, post};

/// What one client sends, and what it must be answered.
fn script(client: usize, is_web: bool, sizes: &[usize]) -> (Vec<u8>, Vec<String>) {
    let mut sent = Vec::new();
    let mut outputs = Vec::new();
    for (number, size) in sizes.iter().enumerate() {
        let output = format!("\"of-{client}-{number}-{}\"", format!("<{client}>").repeat(*size));
        let arguments = format!(",\"arguments\":{output}");
        let request = if is_web {
            post("", &format!("{{\"tool\":\"echo\"{arguments}}}"))
        } else {
            format!("{}\n", call_line(&number.to_string(), "echo", &arguments))
        };
        sent.extend_from_slice(request.as_bytes());
        outputs.push(output);
    }
    (sent, outputs)
}

fn answers(client: &mut Client, is_web: bool, count: usize) -> Vec<String> {
    let mut answers: Vec<(usize, String)> = (0..count)
        .map(|place| {
            let answer = if is_web { client.response().1 } else { client.line() };
            let number = answer.split("\"id\":").nth(1).and_then(|rest| rest.split(',').next());
            let number = number.map_or(place, |number| number.parse().unwrap());
            let output = answer.split("\"output\":").nth(1).unwrap_or_else(|| panic!("no output: {answer}"));
            let output = output.split(",\"usage\"").next().unwrap();
            (number, output.to_owned())
        })
        .collect();
    answers.sort();
    answers.into_iter().map(|(_, output)| output).collect()
}

#[test]
fn each_client_gets_its_own_answers_and_no_others() {
    let daemon = Daemon::with(GatewayLimits { queue: 64, ..LIMITS }, false, 3);
    let clients = prop::collection::vec((any::<bool>(), prop::collection::vec(0..2_000_usize, 1..8)), 2..6);
    let cuts = prop::collection::vec((0..6_usize, 1..3_000_usize), 0..60);
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&(clients, cuts), |(scripts, cuts)| {
        let mut clients: Vec<(Client, Vec<u8>, Vec<String>, bool)> = scripts
            .iter()
            .enumerate()
            .map(|(number, (is_web, sizes))| {
                let (sent, outputs) = script(number, *is_web, sizes);
                (daemon.client(), sent, outputs, *is_web)
            })
            .collect();
        for (number, bytes) in cuts {
            let count = clients.len();
            let (client, unsent, ..) = &mut clients[number % count];
            let piece: Vec<u8> = unsent.drain(..bytes.min(unsent.len())).collect();
            client.send(piece);
        }
        for (client, unsent, ..) in &mut clients {
            client.send(&unsent);
        }
        for (client, _, outputs, is_web) in &mut clients {
            prop_assert_eq!(&answers(client, *is_web, outputs.len()), outputs);
            client.hang_up();
            prop_assert_eq!(client.rest(), "");
        }
        Ok(())
    });
    ran.unwrap();
}
