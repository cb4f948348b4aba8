//! Tools that share a worker: its seal leaves what they need together, and its death is that of all their calls.

use std::fs;
use std::thread;

use tollgate::CallError;
use tollgate::kernel_plan::{plan, united};
use tollgate_workspace::processes::kill;

use crate::Scale;
use crate::lab::{
    READS, SupervisorLab, assert_full, call, parse, read_many, sleep, sleeps, spec, start_worker, workers,
};

/// Two tools that the policy puts together, and one that it does not name, given in another order.
pub(crate) fn tools_of_a_compartment_share_a_worker(_: Scale) {
    let lab = SupervisorLab::new();
    fs::create_dir(lab.folder().join("out")).expect("a folder");
    let policy = parse("[compartments]\npair = [\"overrun-quota\", \"echo-read\"]\n");
    let reads = lab.set("echo-read", &READS);
    let writes = lab.set("overrun-quota", &["fs:/out=out:write,create"]);
    let alone = sleeps(lab.folder(), 60_000);
    let sets = [("echo-read", &reads), ("sleep-forever", &alone), ("overrun-quota", &writes)];
    let specs = sets.iter().map(|(name, set)| spec(name, (*set).clone())).collect();
    let tools = lab.supervisor.add_by_policy(&policy.deployment, specs).expect("tools");
    assert_eq!(tools.iter().map(|tool| tool.name()).collect::<Vec<_>>(), sets.map(|(name, _)| name));
    let shared = start_worker(&tools[0]);
    let written = call(&tools[2], "stream", r#"{"bytes": 1000}"#).expect("an answer").call;
    let read = read_many(&tools[0], 1).expect("an answer").call;
    assert_eq!(workers(), [shared], "one process for both");
    start_worker(&tools[1]);
    let slept = sleep(&tools[1], 1).expect("an answer").call;
    let record = lab.end(tools, &[written, read, slept]);
    let [writer, reader, sleeper] = [written, read, slept].map(|call| record.worker_of(call));
    assert_eq!((writer == reader, writer == sleeper), (true, false));
    assert_eq!(record.enforcements().len(), 2);
    let enforcement = record.enforcement(reader);
    assert_full(enforcement);
    assert_eq!(enforcement.plan, united(plan(&reads), plan(&writes)).digest(), "what they may do together");
    assert_eq!(enforcement.policies.len(), 2);
    let enforcement = record.enforcement(sleeper);
    assert_eq!((enforcement.plan, enforcement.policies.len()), (plan(&alone).digest(), 1));
}

/// What tools share, they lose together; a tool beside them does not notice.
pub(crate) fn a_dead_compartment_takes_all_its_calls(_: Scale) {
    let lab = SupervisorLab::new();
    let specs = [(); 2].map(|()| spec("sleep-forever", sleeps(lab.folder(), 60_000)));
    let mut tools = lab.supervisor.add_compartment(specs.into()).expect("tools");
    tools.push(lab.sleeper());
    let (shared, _own) = (start_worker(&tools[0]), start_worker(&tools[2]));
    let (lost, answered) = thread::scope(|scope| {
        let lost: Vec<_> = tools[..2].iter().map(|tool| scope.spawn(|| sleep(tool, 50_000))).collect();
        let beside = scope.spawn(|| sleep(&tools[2], 1_000));
        lab.await_calls("attack", 3);
        kill(shared);
        let lost = lost.into_iter().map(|call| call.join().expect("a thread").expect_err("lost"));
        (lost.collect::<Vec<_>>(), beside.join().expect("a thread").expect("undisturbed").call)
    });
    let record = lab.end(tools, &[answered]);
    assert_eq!((record.enforcements().len(), record.closers()), (2, 2));
    for failure in lost {
        let CallError::WorkerEnded { how } = &failure.error else { panic!("{failure:?}") };
        assert_eq!(how, "signal: 9 (SIGKILL)");
        record.closer(failure.call.expect("a call that began"));
    }
}
