//! The table of calls: one row for each gives its function, whether it is recorded by itself, and its facts in their order.
//! Facts are written and read by the same row, so that the two cannot differ.

use super::facts::{Facts, FactsError, Unread};

/// A kind of calls.
pub(crate) trait Kind: Sized {
    /// The WIT name of the function. No two calls may share one, whatever their kinds.
    fn function(&self) -> &'static str;
    /// Whether each call is recorded by itself, or only counted.
    fn acquires(&self) -> bool;
    /// Adds the facts.
    fn tell<'a>(&'a self, facts: &mut Facts<'a>);
    /// The call of this kind that `function` and its facts stand for; `None` if no call of this kind has that function.
    fn read(function: &str, facts: &mut Unread<'_>) -> Result<Option<Self>, FactsError>;
}

/// Makes a kind of calls of its rows:
///
/// ```text
/// Call "wit:name/of.the-function" recorded|counted {
///     fact: Type = KEY,
///     fact: Type = KEY if CONDITION ON EARLIER FACTS,
/// }
/// ```
///
/// `KEY` is how [`FactValue`](crate::call::facts::FactValue) names the fact or its parts. A fact whose condition does not hold is not
/// recorded, and is the default of its type.
macro_rules! calls {
    (
        $(#[$about_kind:meta])*
        pub enum $Kind:ident {
            $(
                $(#[$about_call:meta])*
                $Call:ident $function:literal $record:ident $({
                    $( $(#[$about_fact:meta])* $fact:ident: $Type:ty = $key:tt $(if $told:expr)?, )+
                })?,
            )+
        }
    ) => {
        $(#[$about_kind])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $Kind {
            $(
                $(#[$about_call])*
                #[doc = concat!("\n\nRecorded as `", $function, "`.")]
                $Call $({ $( $(#[$about_fact])* $fact: $Type, )+ })?,
            )+
        }

        impl $crate::call::table::Kind for $Kind {
            fn function(&self) -> &'static str {
                match self {
                    $( Self::$Call { .. } => $function, )+
                }
            }

            fn acquires(&self) -> bool {
                match self {
                    $( Self::$Call { .. } => calls!(@$record), )+
                }
            }

            #[allow(unused_variables, reason = "calls of some kinds have no facts")]
            fn tell<'a>(&'a self, facts: &mut $crate::call::facts::Facts<'a>) {
                match self {
                    $( Self::$Call { $($( $fact, )+)? } => {
                        $($( $(if $told)? { $crate::call::facts::FactValue::tell($fact, &$key, facts); } )+)?
                    } )+
                }
            }

            #[allow(unused_variables, reason = "calls of some kinds have no facts")]
            fn read(
                function: &str,
                facts: &mut $crate::call::facts::Unread<'_>,
            ) -> Result<Option<Self>, $crate::call::facts::FactsError> {
                Ok(match function {
                    $( $function => {
                        $($( let $fact = calls!(@read $Type, $key, facts $(, $told)?); )+)?
                        Some(Self::$Call { $($( $fact, )+)? })
                    } )+
                    _of_another_kind => None,
                })
            }
        }
    };
    (@recorded) => { true };
    (@counted) => { false };
    (@read $Type:ty, $key:tt, $facts:ident) => {
        <$Type as $crate::call::facts::FactValue>::read(&$key, $facts)?
    };
    (@read $Type:ty, $key:tt, $facts:ident, $told:expr) => {
        if $told { calls!(@read $Type, $key, $facts) } else { <$Type>::default() }
    };
}

pub(crate) use calls;
