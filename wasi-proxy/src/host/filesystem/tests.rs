//! What holds within one call of a guest's.

use std::fs;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tollgate_audit::CallId;
use tollgate_capability::Limits;
use wasmtime::Trap;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{HostDescriptor as _, HostDirectoryEntryStream as _};

use crate::ctx::{CallFacts, GateCtx, GateInput};
use crate::gate::tests::gate_over;
use crate::view::GateView;

/// What a function of the host gives that never waits.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(given) => given,
        Poll::Pending => panic!("it waits"),
    }
}

fn input(deadline: Instant) -> GateInput {
    let call = CallFacts { id: CallId([1; 16]), session: None, deadline };
    GateInput { stdin: Bytes::new(), wall_start: Duration::ZERO, monotonic_start: Instant::now(), call }
}

/// The deadline is over from the start: the page that is there is told, and no other one is read.
#[test]
fn the_deadline_holds_between_the_pages_of_a_listing() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..4_000 {
        fs::write(folder.path().join(format!("{number:05}")), "").unwrap();
    }
    let gate = gate_over(&folder.path().canonicalize().unwrap(), Limits::DEFAULT, 0);
    let (mut ctx, mut table) = (GateCtx::new(gate, input(Instant::now())), ResourceTable::new());
    let mut view = GateView { ctx: &mut ctx, table: &mut table };
    let (root, _guest) = view.get_directories().unwrap().remove(0);
    let listing = at_once(view.read_directory(root)).unwrap();
    let mut told = 0;
    let error = loop {
        match at_once(view.read_directory_entry(Resource::new_borrow(listing.rep()))) {
            Ok(Some(_entry)) => told += 1,
            Ok(None) => panic!("all {told} are told"),
            Err(error) => break error,
        }
    };
    assert!((256..=1_700).contains(&told), "{told} entries of a page");
    assert_eq!(error.downcast().unwrap_err().downcast_ref(), Some(&Trap::Interrupt));
}
