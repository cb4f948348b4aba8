//! `tollgate:tool/call`: which call the guest answers, where that is granted, and a way to fail that does not return.

use std::time::Instant;

use tollgate_capability::{COARSE_CLOCK_NS, Call, ContextCall};

use crate::ctx::CallFacts;
use crate::view::GateView;
use bindings::tollgate::tool::call;

/// The generated side of the interface.
pub(crate) mod bindings {
    #![allow(missing_docs, unreachable_pub, unnameable_types, reason = "generated from the WIT, documented there")]
    #![allow(clippy::all, clippy::pedantic, clippy::allow_attributes_without_reason, reason = "generated code")]
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "generated code"
    )]
    #![allow(clippy::use_self, clippy::missing_errors_doc, clippy::uninlined_format_args, reason = "generated code")]
    #![allow(
        unused_qualifications,
        elided_lifetimes_in_paths,
        missing_debug_implementations,
        reason = "generated code"
    )]
    wasmtime::component::bindgen!({
        path: "../guest-sdk/wit",
        inline: "
            package tollgate:gate;
            world imports {
                import tollgate:tool/call@0.1.0;
            }
        ",
        world: "tollgate:gate/imports",
        imports: { default: trappable | tracing },
    });
}

/// The guest ended its call with an error of its own: what `invoke` would have returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} [{code}]")]
pub struct Failed {
    /// Short stable code.
    pub code: String,
    /// What happened, in the tool's words.
    pub message: String,
}

/// The function that ends a call so. It takes no permit: it says no more than a result does.
pub const FAIL: &str = "tollgate:tool/call.fail";

impl call::Host for GateView<'_> {
    fn get_context(&mut self) -> wasmtime::Result<call::Context> {
        let _proof = self.ctx.gate.checked(Call::Context(ContextCall::GetContext))?;
        let CallFacts { id, session, deadline } = self.ctx.input.call.clone();
        let left = deadline.saturating_duration_since(Instant::now());
        // In coarse steps: it is no clock for who has none.
        let steps = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX) / COARSE_CLOCK_NS;
        let deadline_left_ms = steps.saturating_mul(COARSE_CLOCK_NS / 1_000_000);
        Ok(call::Context { id: id.to_string(), session, deadline_left_ms })
    }

    fn fail(&mut self, code: String, message: String) -> wasmtime::Result<()> {
        self.ctx.gate.count(FAIL);
        Err(Failed { code, message }.into())
    }
}
