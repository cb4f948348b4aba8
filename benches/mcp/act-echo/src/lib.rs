//! What the bench measures ACT with: a tool that answers with its one argument.

use act_sdk::prelude::*;

#[act_component]
mod component {
    use super::*;

    /// Answers with its argument.
    #[act_tool(description = "Answers with its argument", read_only)]
    fn echo(a: u32) -> ActResult<u32> {
        Ok(a)
    }
}
