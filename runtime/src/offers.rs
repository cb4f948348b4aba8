//! What models are offered of a home's tools, in the forms of their providers. Tool by tool: a list holds no more than the tool that it is
//! at, and what it has told.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tollgate_config::{OFFERED_BYTES_MAX, OfferedName, OperationName};
use tollgate_engine::operations::OperationText;
pub use tollgate_offer::{
    Aliases, Hints, LIST_BYTES_MAX, List, NAME_BYTES_MAX, NotOffered, Offer, Operation, Provider, Through, find,
    is_wrapped, list_of_two, name_of, offered, resolve, through, unwrapped_input, wrapped_output,
};

use crate::described::{Described, schema};
use crate::service::{Tollgate, ToolError};

/// A name that the policy takes is one that models take.
const _: () = assert!(OFFERED_BYTES_MAX == NAME_BYTES_MAX);

/// What is offered of a tool that can be called now.
#[derive(Debug, Clone)]
pub struct OfTool {
    /// Its name.
    pub tool: String,
    /// What is known of it.
    pub described: Arc<Described>,
    // Each operation, by its place, with its name for models or why it has none.
    names: Vec<(usize, Result<String, NotOffered>)>,
}

/// A tool that cannot be called now.
#[derive(Debug)]
pub struct Unavailable {
    /// Its name.
    pub tool: String,
    /// Why.
    pub error: Box<ToolError>,
}

impl OfTool {
    /// The operations that were asked for, each with the name by which models have it, if it has one.
    pub fn operations(&self) -> impl Iterator<Item = (&OperationText, Option<&str>)> {
        self.names.iter().filter_map(|(place, name)| {
            let text = self.described.operations.iter().as_slice().get(*place)?;
            Some((text, name.as_deref().ok()))
        })
    }

    /// Those that models are offered. What each says of itself is read when it is come to.
    pub fn offers(&self) -> impl Iterator<Item = Offer> {
        let offer = |(text, name): (&OperationText, Option<&str>)| Some(self.offer(text, name?));
        self.operations().filter_map(offer)
    }

    /// Those that have no name for models.
    pub fn not_offered(&self) -> impl Iterator<Item = &NotOffered> {
        self.names.iter().filter_map(|(_, name)| name.as_ref().err())
    }

    /// What any of its operations can do.
    #[must_use]
    pub fn hints(&self) -> Hints {
        Hints::of(self.described.capability_set())
    }

    fn offer(&self, text: &OperationText, name: &str) -> Offer {
        let description = if text.description.is_empty() { &self.described.description } else { &text.description };
        Offer {
            name: name.to_owned(),
            operation: Operation { tool: self.tool.clone(), operation: text.name.clone() },
            description: description.clone(),
            input: schema(&text.input_schema),
            output: schema(&text.output_schema),
            hints: self.hints(),
        }
    }
}

impl Tollgate {
    /// What models are offered of these tools, of the operations that `may` says yes to, under the policy that is in force now. A tool is
    /// read when it is come to, and none is loaded for it.
    pub fn offers<'t>(
        &'t self,
        tools: &'t [String],
        may: impl Fn(&Operation) -> bool + 't,
    ) -> impl Iterator<Item = Result<OfTool, Unavailable>> + 't {
        let look = self.look();
        let aliases = Arc::clone(look.aliases());
        tools.iter().map(move |tool| match self.glanced_at(tool, &look) {
            Ok(described) => {
                let name = |(place, text): (usize, &OperationText)| {
                    let operation = Operation { tool: tool.clone(), operation: text.name.clone() };
                    may(&operation).then(|| (place, name_of(&operation, &aliases)))
                };
                let names = described.operations.iter().enumerate().filter_map(name).collect();
                Ok(OfTool { tool: tool.clone(), described, names })
            }
            Err(error) => Err(Unavailable { tool: tool.clone(), error }),
        })
    }

    /// All operations that are offered, as a provider's interface takes them: each an entry of its list of tools, as many as
    /// [`LIST_BYTES_MAX`] lets in.
    ///
    /// # Errors
    ///
    /// The folder of tools cannot be listed.
    pub fn tools_for(&self, provider: Provider) -> std::io::Result<Vec<Value>> {
        let names: Vec<String> = self.names()?.iter().map(ToString::to_string).collect();
        let mut list = List::new(provider);
        for tool in self.offers(&names, |_operation| true).filter_map(Result::ok) {
            if !tool.offers().all(|offer| list.push(&offer)) {
                break;
            }
        }
        Ok(serde_json::from_str(&list.finish().0)?)
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
