//! Two futures of which the first that is ready counts. tokio's own macro for it is not among the features of this build.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// What was ready.
#[derive(Debug)]
pub(crate) enum Either<A, B> {
    /// The first future.
    First(A),
    /// The second one.
    Second(B),
}

/// Waits for one of both, the first where both are ready. The other one is dropped.
pub(crate) async fn race<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(move |context| {
        if let Poll::Ready(ready) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(ready));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}
