//! The messages of supervisor and worker on a [`Connection`]: JSON headers with three blobs.

use serde::{Deserialize, Serialize};
use tollgate_audit::{CallId, Salt, Usage};
use tollgate_engine::error::{CallError, CallFailure, LoadError, WorkerError, with_causes};
use tollgate_engine::operations::{ALL_OPERATIONS_BYTES_MAX, OperationTexts};
use tollgate_engine::request::Caller;
use tollgate_ipc::{Connection, MessageLimits};

/// How a worker's start went. The worker says it once, on its first connection.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Started {
    /// It serves. Each of its tools says this of its operations.
    Serving {
        /// In the order of the tools.
        tools: Vec<OperationTexts>,
    },
    /// One of its tools cannot be used.
    Unloadable {
        /// Its place among the tools.
        tool: usize,
        /// Why.
        error: LoadError,
    },
    /// It does not serve.
    NoWorker {
        /// Why.
        error: WorkerError,
    },
}

/// The supervisor asks for a call. The blobs are arguments and standard input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The tool's place among the worker's tools.
    pub tool: usize,
    /// The name of the operation.
    pub operation: String,
    /// Who asked the supervisor.
    pub caller: Caller,
    /// The id that the supervisor gave the call.
    pub call: CallId,
    /// Whether the supervisor wants to hear what the guest writes to its standard error, while it runs.
    pub hears: bool,
    // Salt of the arguments' digest, with which the worker records the call. Secret: with it, arguments can be guessed.
    salt: Option<String>,
}

/// The worker answers. The blobs are the output, and what the guest wrote to its two streams.
///
/// ```text
/// Ask ─▶ entry `call` ─▶ Accepted ─▶ salt and texts kept ─▶ Go ─▶ guest ─▶ Answered or Failed
///                    └─▶ Failed (rejected)
/// ```
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// The call is on record and its request is accepted. The guest runs once the supervisor says [`Go`]. Said once, and only of a
    /// call with a salt: of other calls nothing is kept.
    Accepted,
    /// The third blob is what the guest has just written to its standard error. Only for a call that asks for it, and before its
    /// end, which has all of it again.
    Wrote,
    /// The guest has answered.
    Answered {
        /// What the call used.
        usage: Usage,
    },
    /// The call has failed.
    Failed {
        /// How.
        failure: CallFailure,
    },
    /// The question made no sense: nothing ran, and nothing is on record.
    Senseless {
        /// What is wrong with it.
        error: CallError,
    },
}

/// The supervisor's answer to [`Said::Accepted`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Go {
    /// What the policy wants of the call is kept: the guest may run.
    Run,
    /// It cannot be kept: the call ends.
    End {
        /// Why.
        error: CallError,
    },
}

impl Ask {
    /// Asks for a call.
    #[must_use]
    pub fn new(tool: usize, operation: &str, caller: &Caller, call: CallId, salt: Option<Salt>) -> Self {
        let salt = salt.map(|salt| hex::encode(salt.0));
        Self { tool, operation: operation.to_owned(), caller: caller.clone(), call, hears: false, salt }
    }

    /// The same, where the guest's standard error is heard while it runs, or is not.
    #[must_use]
    pub fn hearing(self, hears: bool) -> Self {
        Self { hears, ..self }
    }

    /// The salt, if the call has one.    ///
    /// # Errors
    ///
    /// It is no salt.
    pub fn salt(&self) -> Result<Option<Salt>, hex::FromHexError> {
        let Some(text) = &self.salt else { return Ok(None) };
        let mut salt = Salt([0; 32]);
        hex::decode_to_slice(text, &mut salt.0)?;
        Ok(Some(salt))
    }
}

/// Why a worker does not start, if neither its seal nor its tools are the reason.
pub fn no_start(error: &(dyn std::error::Error + 'static)) -> Started {
    Started::NoWorker { error: WorkerError::Start { reason: with_causes(error) } }
}

/// Sends a message without blobs, such as how the start went. A supervisor that is gone is no error.
pub fn tell(connection: &mut Connection, said: &impl Serialize) {
    connection.send(said, [b"", b"", b""], None).ok();
}

/// Longest message that a worker takes from its supervisor: as much as any cap allows.
pub const ASK_LIMITS: MessageLimits = MessageLimits { header: 1 << 20, values: 64, blobs: [256 << 20, 256 << 20, 0] };

/// Longest message that a supervisor takes of a worker's start: descriptions and schemas of a compartment's operations, and the
/// words around them. A worker refuses tools that say more (`operations.rs`); this bounds one that was broken into.
pub const STARTED_LIMITS: MessageLimits =
    MessageLimits { header: ALL_OPERATIONS_BYTES_MAX + (64 << 10), values: 1 << 20, blobs: [0, 0, 0] };

/// Most bytes of an answer's header: the texts of an error.
pub const SAID_HEADER_BYTES_MAX: usize = 16 << 20;

/// Most JSON values of an answer's header: the names of all operations, and some figures.
pub const SAID_VALUES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use tollgate_config::OPERATIONS_MAX;
    use tollgate_engine::operations::{OperationText, too_much_together};
    use tollgate_ipc::Connection;

    use super::*;

    /// What a tool says that has as many operations as it may, with descriptions and schemas of these lengths.
    fn says(description: usize, schema: usize) -> OperationTexts {
        let fields: String = (0..schema / 40).map(|number| format!(r#""{number:08}":{{"type":"string"}},"#)).collect();
        let schema = format!(r#"{{"type":"object","properties":{{{fields}"z":{{}}}}}}"#);
        let operation = |number: usize| OperationText {
            name: format!("operation-{number}"),
            description: "d".repeat(description),
            input_schema: schema.clone(),
            output_schema: schema.clone(),
        };
        (0..OPERATIONS_MAX).map(operation).collect::<Vec<_>>().try_into().unwrap()
    }

    /// What the supervisor takes of a start in which these tools serve.
    fn through(tools: Vec<OperationTexts>) -> Vec<OperationTexts> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let worker = thread::spawn(move || tell(&mut Connection::new(theirs), &Started::Serving { tools }));
        let (started, _none) = Connection::new(ours).receive::<Started>(STARTED_LIMITS, None).unwrap();
        worker.join().unwrap();
        let Started::Serving { tools } = started else { panic!("{started:?}") };
        tools
    }

    #[test]
    fn a_start_of_64_tools_with_all_the_operations_that_each_may_have_fits() {
        let tools = vec![says(500, 2 << 10); 64];
        assert!(too_much_together(&tools).is_none());
        assert!(through(tools.clone()) == tools);
    }

    #[test]
    fn tools_that_say_too_much_together_are_refused_by_name_before_the_supervisor_would_refuse_them() {
        let one = says(2 << 10, 10 << 10);
        let fit = ALL_OPERATIONS_BYTES_MAX / one.to_bytes().len();
        let mut tools = vec![one; fit];
        assert!((1..64).contains(&fit) && too_much_together(&tools).is_none(), "{fit}");
        assert!(through(tools.clone()) == tools, "whatever a worker does not refuse is taken");
        tools.push(tools[0].clone());
        let (tool, error) = too_much_together(&tools).unwrap();
        let named = format!("together with the {fit} tools before it in its compartment; the maximum is 33554432");
        assert!(tool == fit && error.to_string().contains(&named), "{tool}: {error}");
    }
}
