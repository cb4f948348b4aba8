//! What models are offered of a home's tools, in the forms of their providers.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tollgate_config::{OFFERED_BYTES_MAX, OfferedName, OperationName};
use tollgate_engine::operations::OperationText;
pub use tollgate_offer::{
    Aliases, Hints, LIST_BYTES_MAX, Listed, NAME_BYTES_MAX, NotOffered, Offer, Operation, Provider, Through, find,
    is_wrapped, list, list_of_two, offered, resolve, through, unwrapped_input, wrapped_output,
};

use crate::described::{Described, schema};
use crate::service::{Tollgate, ToolError};

/// A name that the policy takes is one that models take.
const _: () = assert!(OFFERED_BYTES_MAX == NAME_BYTES_MAX);

/// What is offered, and why other things are not.
#[derive(Debug, Clone, Default)]
pub struct Offers {
    /// The tools that can be called now, by name.
    pub ready: Vec<(String, Arc<Described>)>,
    /// What is.
    pub offers: Vec<Offer>,
    /// Operations that have no name for models.
    pub not_offered: Vec<NotOffered>,
    /// Tools that cannot be called now, by name, and why.
    pub unavailable: Vec<(String, Arc<ToolError>)>,
}

impl Tollgate {
    /// What models are offered of these tools, of the operations that `may` says yes to. No tool is loaded for it.
    #[must_use]
    pub fn offers(&self, tools: &[String], may: impl Fn(&Operation) -> bool) -> Offers {
        let mut found = Offers::default();
        for name in tools {
            match self.glanced_at(name) {
                Ok(tool) => found.ready.push((name.clone(), tool)),
                Err(error) => found.unavailable.push((name.clone(), Arc::from(error))),
            }
        }
        let all = found.ready.iter().flat_map(|(name, tool)| {
            let of = |text: &OperationText| Operation { tool: name.clone(), operation: text.name.clone() };
            tool.operations.iter().map(move |text| (of(text), (&**tool, text)))
        });
        let (operations, texts): (Vec<Operation>, Vec<_>) = all.filter(|(operation, _)| may(operation)).unzip();
        for ((operation, name), (tool, text)) in offered(&operations, &self.aliases()).into_iter().zip(texts) {
            match name {
                Ok(name) => found.offers.push(offer(name, operation, tool, text)),
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
    pub fn offered_by(&self, name: &str, may: impl Fn(&Operation) -> bool) -> Option<(Operation, Arc<Described>)> {
        // The last one that was there is the one that is found: a tool is looked at once for each call.
        let found = Cell::new(None);
        let has = |operation: &Operation| {
            let ready = if may(operation) { self.ready_with(operation) } else { None };
            let is_there = ready.is_some();
            found.set(ready);
            is_there
        };
        let operation = resolve(name, &self.aliases(), has)?;
        Some((operation, found.take()?))
    }

    fn ready_with(&self, operation: &Operation) -> Option<Arc<Described>> {
        let ready = self.described(&operation.tool).ok()?;
        ready.operations.iter().any(|text| text.name == operation.operation).then_some(ready)
    }
}

/// The aliases that the policy's entry of a tool gives its operations.
pub fn aliases_of<'g>(
    tool: &'g str,
    aliases: &'g BTreeMap<OperationName, OfferedName>,
) -> impl Iterator<Item = (Operation, String)> + 'g {
    let of = move |operation: &OperationName| Operation { tool: tool.to_owned(), operation: operation.to_string() };
    aliases.iter().map(move |(operation, alias)| (of(operation), alias.to_string()))
}

fn offer(name: String, operation: Operation, tool: &Described, text: &OperationText) -> Offer {
    let description = if text.description.is_empty() { &tool.description } else { &text.description };
    Offer {
        name,
        operation,
        description: description.clone(),
        input: schema(&text.input_schema),
        output: schema(&text.output_schema),
        hints: Hints::of(tool.capability_set()),
    }
}
