//! Calls of one host at the same time.

use std::thread;

use tollgate::{CallError, CapHit, FrontSettings, HostedTool};
use tollgate_audit::Entry;
use tollgate_capability::Cap;

use crate::Scale;
use crate::scene::{Scene, host_command, hosts, sleep, sleeps, spec, start_host};

/// As many as `limits.calls`, in one process; one more is turned down.
pub(crate) fn calls_of_a_host_run_at_the_same_time(_: Scale) {
    let scene = Scene::new();
    let sleeper = limited(&scene, 60_000, 4);
    let host = start_host(&sleeper);
    let answered: Vec<_> = thread::scope(|scope| {
        let calls = [(); 4].map(|()| scope.spawn(|| sleep(&sleeper, 2_000)));
        scene.await_calls("attack", 4);
        let failure = sleep(&sleeper, 1).expect_err("one too many");
        let CallError::Cap(hit) = failure.error else { panic!("{failure:?}") };
        assert_eq!((hit, failure.call), (CapHit { cap: Cap::Calls, asked: Some(5), limit: 4 }, None));
        calls.into_iter().map(|call| call.join().expect("a thread").expect("an answer").call).collect()
    });
    assert_eq!(hosts(), [host]);
    let record = scene.end(vec![sleeper], &answered);
    let place = |is_it: &dyn Fn(&Entry<'_>) -> bool| -> Vec<_> {
        let places = record.entries.iter().enumerate().filter(|(_, entry)| is_it(entry));
        places
            .filter(|(_, entry)| entry.call().is_some_and(|call| answered.contains(&call)))
            .map(|(at, _)| at)
            .collect()
    };
    let (starts, ends) =
        (place(&|entry| matches!(entry, Entry::Call(_))), place(&|entry| matches!(entry, Entry::CallEnd(_))));
    assert!(starts.iter().max() < ends.iter().min(), "all began before one ended: {starts:?}, {ends:?}");
    assert_eq!(record.enforcements().len(), 1);
}

/// The time that a call waits for its turn is not taken from its guest, and does not make its host overrun.
pub(crate) fn a_call_that_waited_has_its_whole_deadline(_: Scale) {
    let grace = std::time::Duration::from_millis(500);
    let scene = Scene::with(FrontSettings { lanes_max: 1, grace, ..FrontSettings::new(host_command()) });
    let sleeper = limited(&scene, 2_000, 2);
    start_host(&sleeper);
    let answered: Vec<_> = thread::scope(|scope| {
        let calls = [(); 2].map(|()| scope.spawn(|| sleep(&sleeper, 1_400)));
        calls.into_iter().map(|call| call.join().expect("a thread").expect("an answer").call).collect()
    });
    let record = scene.end(vec![sleeper], &answered);
    assert_eq!((record.enforcements().len(), record.closers()), (1, 0));
}

fn limited(scene: &Scene, deadline_ms: u64, calls: u32) -> HostedTool {
    let mut set = sleeps(scene.folder(), deadline_ms);
    set.limits.calls = calls;
    scene.front.add(spec("sleep-forever", set)).expect("a tool")
}
