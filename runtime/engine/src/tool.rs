//! A tool in the process that runs it: a linked component, its capability set, its operations with their schemas.

use std::sync::Arc;
use std::time::Instant;

use tollgate_audit::Digest;
use tollgate_capability::{Cap, CapabilitySet, Limits};
use tollgate_schema::limits::{ARGUMENT_VALUES_MAX, WORK_MAX};
use tollgate_schema::{Budget, Schema, Stop, ValuesError, read_values};

use crate::error::{CallError, CapHit, LoadError, RejectError};
use crate::instance::CallState;
use crate::instance::bindings::ToolProviderPre;
use crate::operations::{OperationText, OperationTexts};
use crate::request::Request;

/// A tool, as the record of a call names it.
#[derive(Debug, Clone, Copy)]
pub struct NamedTool<'t> {
    /// Its name.
    pub name: &'t str,
    /// Its version.
    pub version: &'t str,
    /// Its component.
    pub component: Digest,
    /// The digest of the capability set in force.
    pub policy: Digest,
    /// The caps in force.
    pub limits: Limits,
}

/// A tool's identity (name, version, digest) and its effective capability set.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) component: Digest,
    pub(crate) set: Arc<CapabilitySet>,
    pub(crate) set_digest: Digest,
    pub(crate) canonical_set: String,
}

impl Identity {
    pub(crate) fn new(name: &str, version: &str, component: Digest, set: CapabilitySet) -> Result<Self, LoadError> {
        let canonical = set.to_canonical_json().map_err(|error| LoadError::Engine(error.to_string()))?;
        let set_digest = Digest::of(canonical.as_bytes());
        let (name, version) = (name.to_owned(), version.to_owned());
        Ok(Self { name, version, component, set: Arc::new(set), set_digest, canonical_set: canonical })
    }

    /// As the record of a call names it.
    pub(crate) fn named(&self) -> NamedTool<'_> {
        let Self { name, version, component, set_digest: policy, set, .. } = self;
        NamedTool { name, version, component: *component, policy: *policy, limits: set.limits }
    }
}

/// A tool's code, linked in the process that runs its calls.
pub struct LoadedTool {
    pub(crate) identity: Identity,
    pub(crate) pre: ToolProviderPre<CallState>,
    texts: OperationTexts,
    // One for each operation.
    schemas: Vec<Schema>,
}

impl std::fmt::Debug for LoadedTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedTool").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl LoadedTool {
    /// The tool of a component that has told its operations.
    pub(crate) fn described(
        identity: Identity,
        pre: ToolProviderPre<CallState>,
        texts: OperationTexts,
    ) -> Result<Self, LoadError> {
        let schemas = texts.iter().map(schema).collect::<Result<_, _>>()?;
        Ok(Self { identity, pre, texts, schemas })
    }

    /// The operations that it can be called for, in the component's own words.
    pub fn texts(&self) -> &OperationTexts {
        &self.texts
    }

    /// Turns down a request that need not reach the guest: its operation is unknown, or its arguments are over the cap, no JSON,
    /// or not as the schema says. The cost is bounded by the cap on arguments, by the limits of [`tollgate_schema`], and by the
    /// call's deadline.
    pub(crate) fn accept(&self, request: &Request<'_>, deadline: Instant) -> Result<(), CallError> {
        request.must_fit()?;
        let mut operations = self.texts.iter().zip(&self.schemas);
        let (operation, schema) =
            operations.find(|(operation, _)| operation.name == request.operation).ok_or_else(|| {
                let known = self.texts.iter().map(|operation| operation.name.clone()).collect();
                RejectError::UnknownOperation { name: request.operation.to_owned(), known }
            })?;
        let limits = self.identity.set.limits;
        let (asked, limit) = (request.arguments.len() as u64, limits.input);
        if asked > limit {
            return Err(CapHit { cap: Cap::Input, asked: Some(asked), limit }.into());
        }
        let arguments = read_values(request.arguments, ARGUMENT_VALUES_MAX).map_err(unread)?;
        let operation = operation.name.clone();
        match schema.judge(&arguments, &mut Budget::until(deadline)) {
            Ok(problems) if problems.is_empty() => Ok(()),
            Ok(problems) => Err(RejectError::Schema { operation, problems }.into()),
            Err(Stop::Work) => Err(RejectError::TooMuchWork { operation, work_max: WORK_MAX }.into()),
            Err(Stop::Deadline) => Err(CapHit { cap: Cap::Deadline, asked: None, limit: limits.deadline_ms }.into()),
        }
    }
}

fn unread(error: ValuesError) -> RejectError {
    match error {
        ValuesError::TooMany { max } => RejectError::TooManyValues { values_max: max },
        ValuesError::NotJson { message } => RejectError::NotJson { message },
    }
}

fn schema(text: &OperationText) -> Result<Schema, LoadError> {
    let unusable = |message| LoadError::Schema { operation: text.name.clone(), message };
    Schema::parse(&text.input_schema).map(|(_value, schema)| schema).map_err(|error| unusable(error.to_string()))
}
