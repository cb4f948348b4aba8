//! What models are offered of a home's tools, in the forms of their providers.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tollgate_engine::error::with_causes;
pub use tollgate_offer::{
    Aliases, Hints, LIST_BYTES_MAX, Listed, NAME_BYTES_MAX, NotOffered, Offer, Operation, Provider, is_wrapped, list,
    offered, resolve, unwrapped_input, wrapped_output,
};

use crate::service::{Ready, Tollgate};

/// What is offered, and why other things are not.
#[derive(Debug, Clone, Default)]
pub struct Offers {
    /// What is.
    pub offers: Vec<Offer>,
    /// Operations that have no name for models.
    pub not_offered: Vec<NotOffered>,
    /// Tools that cannot be called now, by name, and why.
    pub unavailable: Vec<(String, String)>,
}

impl Tollgate {
    /// What models are offered of these tools, of the operations that `may` says yes to.
    #[must_use]
    pub fn offers(&self, tools: &[String], may: impl Fn(&Operation) -> bool) -> Offers {
        let mut found = Offers::default();
        let mut ready = Vec::new();
        for name in tools {
            match self.tool(name) {
                Ok(tool) => ready.push((name, tool)),
                Err(error) => found.unavailable.push((name.clone(), with_causes(&*error))),
            }
        }
        let operations: Vec<(Operation, &Ready, usize)> = ready
            .iter()
            .flat_map(|(name, tool)| {
                let of = move |(at, operation): (usize, &tollgate_engine::operations::OperationText)| {
                    let operation = Operation { tool: (*name).clone(), operation: operation.name.clone() };
                    (operation, &**tool, at)
                };
                tool.operations.iter().enumerate().map(of)
            })
            .filter(|(operation, ..)| may(operation))
            .collect();
        let names: Vec<Operation> = operations.iter().map(|(operation, ..)| operation.clone()).collect();
        let names = offered(&names, &self.aliases());
        for ((operation, tool, at), (_, name)) in operations.into_iter().zip(names) {
            match name {
                Ok(name) => found.offers.extend(offer(name, operation, tool, at)),
                Err(why) => found.not_offered.push(why),
            }
        }
        found
    }

    /// All operations that are offered, as a provider's interface takes them: each an entry of its list of tools, as many as
    /// [`LIST_BYTES_MAX`] lets in.
    ///
    /// # Errors
    ///
    /// The folder of tools cannot be listed.
    pub fn tools_for(&self, provider: Provider) -> std::io::Result<Vec<Value>> {
        let names: Vec<String> = self.names()?.iter().map(ToString::to_string).collect();
        Ok(list(&self.offers(&names, |_operation| true).offers, provider).tools)
    }

    /// The operation that is offered by this name, of those that `may` says yes to, with its tool.
    #[must_use]
    pub fn offered_by(&self, name: &str, may: impl Fn(&Operation) -> bool) -> Option<(Operation, Arc<Ready>)> {
        let has = |operation: &Operation| may(operation) && self.ready_with(operation).is_some();
        let operation = resolve(name, &self.aliases(), has)?;
        let ready = self.ready_with(&operation)?;
        Some((operation, ready))
    }

    fn ready_with(&self, operation: &Operation) -> Option<Arc<Ready>> {
        let ready = self.tool(&operation.tool).ok()?;
        ready.operations.iter().any(|text| text.name == operation.operation).then_some(ready)
    }
}

impl Ready {
    /// Whether arguments and results of an operation stand in an object for models.
    #[must_use]
    pub fn wrapping(&self, operation: &str) -> (bool, bool) {
        (self.wrapped_input.contains(operation), self.wrapped_output.contains(operation))
    }
}

/// The operations whose schema is wrapped.
pub(crate) fn wrapped<'s>(schemas: impl Iterator<Item = (&'s String, &'s String)>) -> BTreeSet<String> {
    schemas.filter(|(_, schema)| is_wrapped(&parsed(schema))).map(|(name, _)| name.clone()).collect()
}

fn offer(name: String, operation: Operation, tool: &Ready, at: usize) -> Option<Offer> {
    let text = tool.operations.iter().nth(at)?;
    let description = if text.description.is_empty() { &tool.description } else { &text.description };
    Some(Offer {
        name,
        operation,
        description: description.clone(),
        input: parsed(&text.input_schema),
        output: parsed(&text.output_schema),
        hints: Hints::of(tool.capability_set()),
    })
}

/// A tool with another one is not loaded.
fn parsed(schema: &str) -> Value {
    serde_json::from_str(schema).unwrap_or(Value::Bool(true))
}
