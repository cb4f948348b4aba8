//! Calls of Tollgate's own world, by which a guest learns about the call that it answers.

use super::table::calls;

calls! {
    /// A call of `tollgate:tool/call`.
    pub enum ContextCall {
        /// `tollgate:tool/call.get-context`: which call this is, and how long it may take.
        GetContext "tollgate:tool/call.get-context" recorded,
    }
}
