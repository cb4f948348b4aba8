//! What `#[tool]` turns a function into: arguments parsed, the answer written, both described. Its traits exist for their
//! messages. Must never panic, whatever the arguments are.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Path;

use crate::{Error, Operation, schema};

/// The type of a tool's parameter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a tool's parameter",
    label = "this parameter cannot be read from JSON and described by a JSON Schema",
    note = "if `{Self}` is yours, put `#[derive(serde::Deserialize, schemars::JsonSchema)]` on it",
    note = "if it is not, take a type of the standard library, or look whether its crate has features for serde and schemars"
)]
pub trait Parameter {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> Parameter for T {}

/// The type that a tool answers with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be what a tool answers",
    label = "this cannot be written as JSON and described by a JSON Schema",
    note = "if `{Self}` is yours, put `#[derive(serde::Serialize, schemars::JsonSchema)]` on it",
    note = "if it is not, answer with a type of the standard library, or look whether its crate has features for serde and schemars"
)]
pub trait Answer {
    /// The schema of what is written.
    fn schema() -> String;

    /// The answer as JSON text.
    ///
    /// # Errors
    ///
    /// It has no JSON.
    fn to_json(&self) -> serde_json::Result<String>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> Answer for T {
    fn schema() -> String {
        schema::of_output::<T>()
    }

    fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The type of a tool's error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a tool",
    label = "this does not say what code and message the agent gets",
    note = "write `impl From<{Self}> for tollgate_guest::Error`, or return `tollgate_guest::Error` itself"
)]
pub trait Refusal {
    /// What the agent is told.
    fn into_error(self) -> Error;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Error>> Refusal for E {
    fn into_error(self) -> Error {
        self.into()
    }
}

/// What the function of a tool returns.
#[diagnostic::on_unimplemented(
    message = "the function of a tool returns a `Result`, not `{Self}`",
    label = "return `Result<{Self}, tollgate_guest::Error>`"
)]
pub trait Outcome {
    /// What it answers.
    type Answer: Answer;

    /// Why it has no answer, as the agent is told.
    ///
    /// # Errors
    ///
    /// The tool's own.
    fn into_result(self) -> Result<Self::Answer, Error>;
}

impl<T: Answer, E: Refusal> Outcome for Result<T, E> {
    type Answer = T;

    fn into_result(self) -> Result<T, Error> {
        self.map_err(Refusal::into_error)
    }
}

/// Compiles if `T` can be a parameter.
pub const fn assert_parameter<T: Parameter>() {}

/// What the host is told of an operation with the arguments `A` and the outcome `O`.
#[must_use]
pub fn describe<A: JsonSchema, O: Outcome>(name: &str, description: &str) -> Operation {
    Operation {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: schema::of_input::<A>(),
        output_schema: O::Answer::schema(),
    }
}

/// Parses the arguments of an operation.
///
/// # Errors
///
/// `invalid-arguments`, with the path of what is wrong.
pub fn parse<A: DeserializeOwned>(arguments: &str) -> Result<A, Error> {
    let mut deserializer = serde_json::Deserializer::from_str(arguments);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, cause) = (error.path().clone(), error.into_inner());
        invalid(&path, &cause)
    })?;
    deserializer.end().map_err(|cause| Error::invalid_arguments(cause.to_string()))?;
    Ok(parsed)
}

/// Writes what a function returned.
///
/// # Errors
///
/// The tool's own; `invalid-answer` where the answer has no JSON, such as a map whose keys are not text.
pub fn answer<O: Outcome>(outcome: O) -> Result<String, Error> {
    outcome.into_result()?.to_json().map_err(|cause| Error::new("invalid-answer", cause.to_string()))
}

fn invalid(path: &Path, cause: &serde_json::Error) -> Error {
    let mut message = cause.to_string();
    if cause.is_data() {
        // The path says it better. Where the text is no JSON at all, the position is all there is.
        let position = format!(" at line {} column {}", cause.line(), cause.column());
        message.truncate(message.strip_suffix(&position).unwrap_or(&message).len());
    }
    match path.iter().next() {
        Some(_) => Error::invalid_arguments(format!("at {path}: {message}")),
        None => Error::invalid_arguments(message),
    }
}
