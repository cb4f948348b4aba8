//! Replies to a call as MCP has them: what a model is to know of a failure stands in the text that it sees, what a program is to know
//! under `_meta`.

use rmcp::model::{CallToolResult, ContentBlock, ErrorData, MetaObject};
use serde_json::Value;

use crate::protocol::Failure;
use crate::reply::Reply;

/// The result of a call, or the error of a request that is of no tool.
pub(super) fn of_reply(reply: &Reply) -> Result<CallToolResult, ErrorData> {
    match reply {
        Reply::Answered(answered) => match serde_json::from_slice::<Value>(answered.output()) {
            Ok(output) => Ok(of_output(output, answered.call())),
            Err(error) => Ok(failed(
                &Failure::new("output", format!("what the tool answered cannot be told: {error}")),
                Some(answered.call()),
            )),
        },
        Reply::Failed(unanswered) => match unanswered.kind() {
            "unknown-tool" => Err(ErrorData::invalid_params(unanswered.error().message.clone(), None)),
            "unauthenticated" => Err(ErrorData::invalid_request(unanswered.error().message.clone(), None)),
            _other => Ok(failed(unanswered.error(), unanswered.call())),
        },
    }
}

/// Text and structure say the same, byte for byte: clients read one or the other.
fn of_output(output: Value, call: &str) -> CallToolResult {
    let mut result = CallToolResult::success(vec![ContentBlock::text(output.to_string())]);
    result.structured_content = Some(output);
    result.meta = Some(meta(Some(call), &[]));
    result
}

fn failed(failure: &Failure, call: Option<&str>) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(told(failure))]);
    let detail = |key: &str| failure.details.get(key).and_then(Value::as_str);
    let rule = detail("rule").or_else(|| detail("cap"));
    let told = [("class", Some(failure.kind.as_str())), ("rule", rule)];
    result.meta = Some(meta(call, &told));
    result
}

/// What the model sees: what happened, by which rule, what would allow it, and that another way is denied too.
fn told(failure: &Failure) -> String {
    let mut lines = vec![failure.message.clone()];
    let detail = |key: &str| failure.details.get(key);
    if let Some(problems) = detail("problems").and_then(Value::as_array) {
        lines.extend(problems.iter().filter_map(Value::as_str).map(|problem| format!("- {problem}")));
    }
    let said = |key: &str, word: &str| {
        let text = detail(key).and_then(Value::as_str)?;
        Some(if word.is_empty() { text.to_owned() } else { format!("{word}: {text}") })
    };
    let more = [said("rule", "rule"), said("help", "what would allow it"), said("advice", "")];
    lines.extend(more.into_iter().flatten());
    lines.join("\n")
}

fn meta(call: Option<&str>, told: &[(&str, Option<&str>)]) -> MetaObject {
    let mut meta = MetaObject::new();
    for (key, value) in std::iter::once(&("call", call)).chain(told) {
        if let Some(value) = value {
            meta.0.insert(format!("dev.tollgate/{key}"), Value::from(*value));
        }
    }
    meta
}
