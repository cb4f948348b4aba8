//! Every call that WASI 0.2 and Tollgate's own world know, as data: what the guest asked for and the facts the decision rests
//! on. Must never hold a handle, a clock or anything else that makes a decision unrepeatable.
//!
//! Each kind of calls has a file, and each call in it a row ([`table`]): a further kind is a file, a line in `kinds!` below,
//! an arm in [`check`](crate::check()) and one where the gate names what a call is about.

mod clock;
mod context;
mod env;
pub(crate) mod facts;
mod fs;
mod random;
mod refused;
mod socket;
mod stdio;
pub(crate) mod table;

pub use clock::ClockCall;
pub use context::ContextCall;
pub use env::EnvCall;
pub use facts::{Fact, Facts, FactsError};
pub use fs::{FileId, FsCall, FsPlace, HandleFacts, OpenFlags, Target};
pub use random::RandomCall;
pub use refused::{HTTP_FUNCTIONS, RefusedCall, SOCKET_METHODS};
pub use socket::{AddressFamily, SocketCall};
pub use stdio::{Stdio, StdioCall};

use self::facts::Unread;
use self::table::Kind as _;

macro_rules! kinds {
    ($( $(#[$about:meta])* $Kind:ident($Calls:ident), )+) => {
        /// One call of a guest, decoded and not yet decided on.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(clippy::large_enum_variant, reason = "most calls are on files, and none of them is kept for long")]
        pub enum Call {
            $( $(#[$about])* $Kind($Calls), )+
        }

        impl Call {
            /// The WIT name of the function, as recorded in the ledger.
            #[must_use]
            pub fn function(&self) -> &'static str {
                match self {
                    $( Self::$Kind(call) => call.function(), )+
                }
            }

            /// Whether the call acquires something and so is recorded by itself, before its effect. The others act on a
            /// handle that was acquired, or carry no authority: they are checked and counted.
            #[must_use]
            pub fn acquires(&self) -> bool {
                match self {
                    $( Self::$Kind(call) => call.acquires(), )+
                }
            }

            /// The facts of the call for the record, by name. Order is fixed for a call; texts are the guest's own, uncut.
            #[must_use]
            pub fn facts(&self) -> Facts<'_> {
                let mut facts = Facts::new();
                match self {
                    $( Self::$Kind(call) => call.tell(&mut facts), )+
                }
                facts
            }

            fn read(function: &str, facts: &mut Unread<'_>) -> Result<Option<Self>, FactsError> {
                $(
                    if let Some(call) = $Calls::read(function, facts)? {
                        return Ok(Some(Self::$Kind(call)));
                    }
                )+
                Ok(None)
            }
        }

        $(
            impl From<$Calls> for Call {
                fn from(call: $Calls) -> Self {
                    Self::$Kind(call)
                }
            }
        )+
    };
}

kinds! {
    /// On the filesystem.
    Fs(FsCall),
    /// For the environment and the arguments.
    Env(EnvCall),
    /// On a standard stream.
    Stdio(StdioCall),
    /// Of a clock.
    Clock(ClockCall),
    /// For random bytes.
    Random(RandomCall),
    /// About the call that the guest answers.
    Context(ContextCall),
    /// With which a use of the network begins.
    Socket(SocketCall),
    /// Of what no grant allows.
    Refused(RefusedCall),
}

impl Call {
    /// The call on the filesystem that it is, if it is one.
    #[must_use]
    pub const fn fs(&self) -> Option<&FsCall> {
        if let Self::Fs(call) = self { Some(call) } else { None }
    }

    /// The call that `function` and `facts` stand for: the exact inverse of [`Call::function`] and [`Call::facts`]. What they
    /// cannot have written never becomes a call. The order of the facts does not matter. A text that the ledger cut must not
    /// be given: it would stand for another call.
    ///
    /// # Errors
    ///
    /// A [`FactsError`] that names the function or the fact which no call has.
    pub fn from_facts(function: &str, facts: &[(&str, Fact<'_>)]) -> Result<Self, FactsError> {
        let mut unread = Unread::new(facts)?;
        let Some(call) = Self::read(function, &mut unread)? else {
            return Err(FactsError::UnknownFunction { function: function.to_owned() });
        };
        unread.end()?;
        Ok(call)
    }
}
