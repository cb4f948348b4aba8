//! Calls that ask for the environment and the arguments.

use super::table::calls;

calls! {
    /// A call of `wasi:cli/environment`.
    pub enum EnvCall {
        GetEnvironment "wasi:cli/environment.get-environment" recorded,
        GetArguments "wasi:cli/environment.get-arguments" recorded,
    }
}
