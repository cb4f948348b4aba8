//! A hostile tool that takes its orders as JSON: `cargo xtask attack` plays with it what a real one would do. It calls WASI
//! directly, with paths and flags that the C library would never send, and tells what came of each step.
//!
//! A step may be repeated; `{n}` in its texts is then the number of the repetition. What is left open is never dropped.

mod files;
mod schema;
mod world;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;

use hostile_guests::parse;
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_guest::{Error, Operation, Tool};
use wasip2::filesystem::types::{Descriptor, DirectoryEntryStream, ErrorCode};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

struct ProbeAttack;

tollgate_guest::export!(ProbeAttack);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    steps: Vec<Step>,
    /// The answer, in the place of what the steps tell.
    answer: Option<String>,
}

/// `{"do": "open", "path": "/work/a", "flags": ["write"], "as": "a"}`.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Step {
    r#do: String,
    /// The handle that is acted on, or that `path` is relative to; without it `path` begins with a granted folder.
    of: String,
    path: String,
    /// As `of`, for `to`.
    to_of: String,
    to: String,
    /// The name of what is opened.
    r#as: String,
    follow: bool,
    /// `create`, `directory`, `exclusive`, `truncate`.
    open: Vec<String>,
    /// `read`, `write`, `mutate-directory`, …
    flags: Vec<String>,
    /// What is written, answered, or the text of a link.
    data: String,
    /// How often `data` is put together.
    copies: usize,
    offset: u64,
    len: u64,
    /// How often the step is taken; it ends at the first error, unless `stubborn`.
    times: u64,
    stubborn: bool,
}

enum Held {
    Descriptor(Descriptor),
    #[allow(dead_code, reason = "it is held, and costs the host something")]
    Listing(DirectoryEntryStream),
    Input(InputStream),
    Output(OutputStream),
}

/// What is open.
struct Table {
    preopens: OnceCell<ManuallyDrop<Vec<(Descriptor, String)>>>,
    held: RefCell<BTreeMap<String, ManuallyDrop<Held>>>,
}

enum Failure {
    Code(ErrorCode),
    Stream(StreamError),
    Order(&'static str),
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

impl Failure {
    fn tell(&self) -> String {
        match self {
            Self::Code(code) => code.name().to_owned(),
            Self::Stream(StreamError::Closed) => "closed".to_owned(),
            Self::Stream(StreamError::LastOperationFailed(error)) => error.to_debug_string(),
            Self::Order(fault) => (*fault).to_owned(),
        }
    }
}

impl Tool for ProbeAttack {
    fn operations() -> Vec<Operation> {
        vec![Operation {
            name: "play".into(),
            description: "Takes steps, one after the other in one instance.".into(),
            input_schema: schema::of_input(),
            output_schema: "{}".into(),
        }]
    }

    fn invoke(_operation: &str, arguments: &str) -> Result<String, Error> {
        let args: Args = parse(arguments)?;
        let table = Table { preopens: OnceCell::new(), held: RefCell::default() };
        let told: Value = args.steps.iter().map(|step| step.play(&table)).collect();
        Ok(args.answer.unwrap_or_else(|| told.to_string()))
    }
}

impl Step {
    /// `{"ok": value}` or `{"err": "code"}`, with `times` if it was repeated.
    fn play(&self, table: &Table) -> Value {
        let (mut done, mut last) = (0, Ok(Value::Null));
        for n in 0..self.times.max(1) {
            last = self.numbered(n).take(table);
            if last.is_ok() {
                done += 1;
            } else if !self.stubborn {
                break;
            }
        }
        match (last, self.times > 1) {
            (Ok(value), false) => json!({ "ok": value }),
            (Ok(value), true) => json!({ "ok": value, "times": done }),
            (Err(failure), false) => json!({ "err": failure.tell() }),
            (Err(failure), true) => json!({ "err": failure.tell(), "times": done }),
        }
    }

    fn numbered(&self, n: u64) -> Self {
        let mut step = self.clone();
        if self.times > 1 {
            for text in [&mut step.path, &mut step.to, &mut step.data, &mut step.r#as] {
                *text = text.replace("{n}", &n.to_string());
            }
        }
        step
    }

    fn take(&self, table: &Table) -> Result<Value, Failure> {
        match world::take(self) {
            Some(taken) => taken,
            None => files::take(self, table),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.data.repeat(self.copies.max(1)).into_bytes()
    }
}
