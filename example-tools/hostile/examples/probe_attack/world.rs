//! Steps outside the file system: environment, clocks, randomness, streams, the call itself.

use serde_json::{Value, json};
use tollgate_guest::bindings::tollgate::tool::call;
use wasip2::cli::{environment, stderr, stdin, stdout};
use wasip2::clocks::wall_clock::Datetime;
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::filesystem::preopens;
use wasip2::random::random;

use super::{Failure, Step};

/// Takes the step, if it is one of these.
pub(crate) fn take(step: &Step) -> Option<Result<Value, Failure>> {
    let written = |sent: Result<(), _>| sent.map(|()| Value::Null).map_err(Failure::from);
    Some(Ok(match step.r#do.as_str() {
        "env" => json!(environment::get_environment()),
        "args" => json!(environment::get_arguments()),
        "wall" => datetime(wall_clock::now()),
        "wall-resolution" => datetime(wall_clock::resolution()),
        "monotonic" => monotonic_clock::now().into(),
        "monotonic-resolution" => monotonic_clock::resolution().into(),
        "wait" => {
            monotonic_clock::subscribe_duration(step.len).block();
            Value::Null
        }
        "random" => random::get_random_bytes(step.len).into(),
        "directories" => preopens::get_directories().into_iter().map(|(_, guest)| guest).collect(),
        "context" => {
            let call::Context { id, session, deadline_left_ms } = call::get_context();
            json!({ "id": id, "session": session, "deadline_left_ms": deadline_left_ms })
        }
        "fail" => {
            call::fail(&step.path, &step.data);
            Value::Null
        }
        "stdout" => return Some(written(stdout::get_stdout().blocking_write_and_flush(&step.bytes()))),
        "stderr" => return Some(written(stderr::get_stderr().blocking_write_and_flush(&step.bytes()))),
        "stdin" => match stdin::get_stdin().blocking_read(step.len) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into(),
            Err(error) => return Some(Err(error.into())),
        },
        // Spends fuel, not time on a clock.
        "spin" => (0..step.len).fold(0_u64, |sum, n| std::hint::black_box(sum ^ n)).into(),
        _of_files => return None,
    }))
}

pub(crate) fn datetime(Datetime { seconds, nanoseconds }: Datetime) -> Value {
    json!({ "seconds": seconds, "nanoseconds": nanoseconds })
}
