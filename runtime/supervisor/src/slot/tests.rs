//! The slot under loom: every order in which three threads can go through it, on the very code that runs. A thread that
//! waits for ever is a deadlock to loom, and fails the test.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use loom::sync::{Condvar, Mutex, MutexGuard};
use loom::thread;

use super::*;

/// loom's locks. Time stands still: a moment has passed from the start, or never does.
enum Loom {}

#[derive(Clone, Copy, PartialEq)]
enum Moment {
    Passed,
    Never,
}

impl Primitives for Loom {
    type Mutex<T> = Mutex<T>;
    type Guard<'m, T: 'm> = MutexGuard<'m, T>;
    type Condvar = Condvar;
    type Instant = Moment;

    fn mutex<T>(value: T) -> Mutex<T> {
        Mutex::new(value)
    }

    fn condvar() -> Condvar {
        Condvar::new()
    }

    fn lock<'m, T: 'm>(mutex: &'m Mutex<T>) -> MutexGuard<'m, T> {
        mutex.lock().unwrap()
    }

    fn wait<'m, T: 'm>(condvar: &Condvar, guard: MutexGuard<'m, T>, _until: Moment) -> MutexGuard<'m, T> {
        condvar.wait(guard).unwrap()
    }

    fn notify_all(condvar: &Condvar) {
        condvar.notify_all();
    }

    fn now() -> Moment {
        Moment::Passed
    }

    fn is_past(moment: Moment) -> bool {
        moment == Moment::Passed
    }
}

type TheSlot = Slot<Arc<Worker>, &'static str, Loom>;
type TheStarting = Starting<Arc<Worker>, &'static str, Loom>;

/// What is known of a worker beside the slot.
struct Worker {
    // Its lock is loom's, so that others come in between while it is used.
    users: Mutex<u32>,
    ended: AtomicU32,
}

impl Worker {
    fn end(&self, why: &str) {
        assert_eq!(self.ended.fetch_add(1, SeqCst), 0, "ended twice: {why}");
    }
}

/// Every worker that was started for the slot.
#[derive(Default)]
struct Stage {
    starting: AtomicU32,
    workers: std::sync::Mutex<Vec<Arc<Worker>>>,
}

impl Stage {
    /// As a thread that starts workers: one at a time.
    fn start(&self, starting: TheStarting, succeeds: bool) {
        assert_eq!(self.starting.fetch_add(1, SeqCst), 0, "two starts at once");
        self.starting.store(0, SeqCst);
        if !succeeds {
            return starting.fail("on purpose");
        }
        let worker = Arc::new(Worker { users: Mutex::new(0), ended: AtomicU32::new(0) });
        self.workers.lock().unwrap().push(Arc::clone(&worker));
        if let Err((worker, starting)) = starting.serve(worker) {
            worker.end("closed during its start");
            drop(starting);
        }
    }

    /// As a call.
    fn call(&self, slot: &Arc<TheSlot>, until: Moment) -> Result<(), NoLease<&'static str>> {
        let lease = slot.lease(until, || false, |starting| self.start(starting, true))?;
        *lease.worker().users.lock().unwrap() += 1;
        *lease.worker().users.lock().unwrap() -= 1;
        Ok(())
    }

    /// As the thread that ends idle workers.
    fn end_idle(&self, slot: &TheSlot) {
        if let Some(worker) = slot.take_idle(|_since| true) {
            assert_eq!(*worker.users.lock().unwrap(), 0, "a worker in use is not idle");
            worker.end("idle");
        }
    }

    fn close(&self, slot: &TheSlot) {
        if let Some(worker) = slot.close() {
            worker.end("closed");
        }
    }

    /// Nobody has a lease, so a worker that is left is idle. Once the slot is closed, every worker that ever was has been
    /// ended, once.
    fn assert_over(&self, slot: &TheSlot) {
        self.end_idle(slot);
        assert!(slot.close().is_none(), "it was idle");
        assert!(slot.await_closed(Moment::Passed), "a start is still under way");
        for worker in &*self.workers.lock().unwrap() {
            assert_eq!(worker.ended.load(SeqCst), 1, "every worker is ended");
        }
    }
}

type Act = fn(&Stage, &Arc<TheSlot>);

/// Has loom run `acts`, one on this thread and each other on one of its own, in every order.
fn in_every_order(acts: &'static [Act]) {
    after(|_stage, _slot| {}, acts);
}

/// The same, after something that happens before.
fn after(before: Act, acts: &'static [Act]) {
    let orders = Arc::new(AtomicU32::new(0));
    let mut model = loom::model::Builder::new();
    (model.max_branches, model.preemption_bound) = (10_000, None);
    let counted = Arc::clone(&orders);
    model.check(move || {
        counted.fetch_add(1, SeqCst);
        let (stage, slot) = (Arc::new(Stage::default()), TheSlot::new());
        before(&stage, &slot);
        let (first, others) = acts.split_first().unwrap();
        let threads = others.iter().map(|act| {
            let (stage, slot) = (Arc::clone(&stage), Arc::clone(&slot));
            thread::spawn(move || act(&stage, &slot))
        });
        let threads: Vec<_> = threads.collect();
        first(&stage, &slot);
        for thread in threads {
            thread.join().unwrap();
        }
        stage.assert_over(&slot);
    });
    let orders = orders.load(SeqCst);
    println!("{orders} orders");
    assert!(orders > 100, "loom tried hardly anything: {orders}");
}

/// A call without anything that could come in between: for tests in which the orders would be too many.
fn uses(stage: &Stage, slot: &Arc<TheSlot>) {
    drop(slot.lease(Moment::Never, || false, |starting| stage.start(starting, true)).unwrap());
}

fn calls(stage: &Stage, slot: &Arc<TheSlot>) {
    assert_eq!(stage.call(slot, Moment::Never), Ok(()));
}

fn calls_or_is_closed(stage: &Stage, slot: &Arc<TheSlot>) {
    let called = stage.call(slot, Moment::Never);
    assert!(matches!(called, Ok(()) | Err(NoLease::Closed)), "{called:?}");
}

#[test]
fn three_calls_at_once_share_a_worker() {
    in_every_order(&[uses, uses, uses]);
}

#[test]
fn calls_and_the_end_of_idle_workers_in_every_order() {
    in_every_order(&[|stage, slot| stage.end_idle(slot), calls, calls]);
}

#[test]
fn a_call_the_end_of_idle_workers_and_closing_in_every_order() {
    in_every_order(&[|stage, slot| stage.end_idle(slot), calls_or_is_closed, |stage, slot| stage.close(slot)]);
}

#[test]
fn calls_and_closing_in_every_order() {
    in_every_order(&[
        |stage, slot| {
            stage.close(slot);
            assert!(slot.await_closed(Moment::Never));
        },
        calls_or_is_closed,
        calls_or_is_closed,
    ]);
}

#[test]
fn a_caller_without_time_leaves_and_the_start_goes_on() {
    in_every_order(&[
        |stage, slot| {
            let called = stage.call(slot, Moment::Passed);
            assert!(matches!(called, Ok(()) | Err(NoLease::Late)), "{called:?}");
        },
        calls,
        |stage, slot| stage.end_idle(slot),
    ]);
}

#[test]
fn a_start_that_fails_is_told_to_who_waits_and_tried_again_by_the_next() {
    in_every_order(&[
        |stage, slot| {
            let called = slot.lease(Moment::Never, || false, |starting| stage.start(starting, false));
            assert!(matches!(called, Ok(_) | Err(NoLease::Failed("on purpose"))));
        },
        |stage, slot| {
            let called = stage.call(slot, Moment::Never);
            assert!(matches!(called, Ok(()) | Err(NoLease::Failed("on purpose"))));
        },
        |stage, slot| stage.end_idle(slot),
    ]);
}

#[test]
fn a_start_that_is_given_up_holds_up_nobody() {
    in_every_order(&[
        |_stage, slot| {
            let called = slot.lease(Moment::Never, || false, drop);
            assert!(matches!(called, Ok(_) | Err(NoLease::Abandoned)));
        },
        |stage, slot| {
            let called = stage.call(slot, Moment::Never);
            assert!(matches!(called, Ok(()) | Err(NoLease::Abandoned)));
        },
        |stage, slot| stage.end_idle(slot),
    ]);
}

#[test]
fn a_dead_worker_is_replaced_once() {
    fn finds_it_dead(stage: &Stage, slot: &Arc<TheSlot>) {
        let lease = slot.lease(Moment::Never, || false, |starting| stage.start(starting, true)).unwrap();
        let dead = Arc::clone(lease.worker());
        if let Some(worker) = lease.discard() {
            assert!(Arc::ptr_eq(&dead, &worker), "another one, which nobody found dead");
            worker.end("found dead");
        }
    }
    after(uses, &[finds_it_dead, finds_it_dead, uses]);
}
