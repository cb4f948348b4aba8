//! What a governed call costs: Tollgate against two twins, interleaved in one run, with one component.
//!
//! `stock` is wasmtime-wasi as documented: async, pooling defaults, file calls on a blocking thread. `floor` is our engine and
//! event loop without gate and ledger. Tollgate records through a notary in a process of its own; `journal` hands a result out
//! only when the end of its call is in the journal, the other one when it is in the notary's pipe. All have fuel and epochs on,
//! make a fresh instance per call, and are measured over the whole cycle with teardown. Absolute times say little; the ratios are
//! the result.

use std::time::{Duration, Instant};
use std::{env, fs};

use tollgate::notary::NotaryRole;
use tollgate::{EPOCH_TICK, ProcessCommand, Tool, engine_config};
use tollgate_workspace::{Lab, ORIGIN, guest};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod bindings {
    wasmtime::component::bindgen!({
        path: "guest-sdk/wit",
        world: "tool-provider",
        exports: { default: async },
    });
}

use bindings::tollgate::tool::call;

/// Calls of one variant before the next one's turn.
const BATCH: usize = 25;
/// Turns of every variant; the first tenth warms up.
const ROUNDS: usize = 200;

#[allow(unsafe_code, reason = "a notary closes every file that it was not handed")]
fn keep_a_ledger(role: &NotaryRole) {
    // SAFETY: this process has opened no file before, and ends afterwards.
    unsafe { tollgate::notary::serve(role) }.expect("a ledger");
}

fn main() {
    let args: Vec<_> = env::args_os().skip(1).collect();
    if let [role, ledger] = args.as_slice()
        && role == "notary"
    {
        let (origin, software) = (Some(ORIGIN.to_owned()), "bench".to_owned());
        let role = NotaryRole { ledger: ledger.into(), origin, software, daemon: None };
        return keep_a_ledger(&role);
    }
    // `cargo test --bench invoke` runs this file too: two short rounds show that it works.
    let rounds = if env::args().any(|arg| arg == "--bench") { ROUNDS } else { 2 };
    let program = env::current_exe().expect("this program");
    let mut lab = Lab::notarised(|ledger| ProcessCommand::new(program, ["notary".as_ref(), ledger]));
    lab.file("data/file", &"x".repeat(4096));
    let component = fs::read(guest("echo-read").component).expect("the component");
    let stock = Twin::new(stock_config(), multi_thread(), &component, &lab, false);
    let floor = Twin::new(engine_config(4), current_thread(), &component, &lab, true);
    let tools = [
        lab.tool(guest("echo-read"), &["fs:/data=data:read,list"]),
        lab.tool(guest("echo-read"), &["fs:/data=data:read,list", "audit:acknowledge=journal"]),
    ];
    println!("µs per call, {rounds} rounds of {BATCH}\n");
    println!("| call | variant | p50 | p99 | p50 of stock | p50 of floor |");
    println!("|---|---|---|---|---|---|");
    for call in CALLS {
        measure(&call, rounds, &stock, &floor, &mut lab, &tools);
    }
    lab.finish();
    lab.verified();
}

/// One call to measure.
struct Call {
    name: &'static str,
    operation: &'static str,
    arguments: &'static str,
    answer: &'static str,
}

const CALLS: [Call; 3] = [
    Call { name: "echo", operation: "echo", arguments: r#"{"a":1}"#, answer: r#"{"a":1}"# },
    Call { name: "read 4 KiB", operation: "read", arguments: r#"{"path":"/data/file"}"#, answer: r#"{"bytes":4096}"# },
    Call {
        name: "100 reads",
        operation: "read-many",
        arguments: r#"{"path":"/data/file","times":100}"#,
        answer: r#"{"bytes":409600}"#,
    },
];

fn measure(call: &Call, rounds: usize, stock: &Twin, floor: &Twin, lab: &mut Lab, tools: &[Tool; 2]) {
    let mut times: [Vec<Duration>; 4] = Default::default();
    for round in 0..rounds {
        for turn in 0..4 {
            // The order changes from round to round, so that no variant always follows the same one.
            let variant = (turn + round) % 4;
            for _ in 0..BATCH {
                let before = Instant::now();
                let answer = match variant {
                    0 => stock.call(call),
                    1 => floor.call(call),
                    tool => lab.call(&tools[tool - 2], call.operation, call.arguments).expect("an answer").output,
                };
                let took = before.elapsed();
                assert_eq!(answer, call.answer);
                if round >= rounds / 10 {
                    times[variant].push(took);
                }
            }
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let p50 = |variant: usize| percentile(&times[variant], 50);
    for (variant, name) in ["stock", "floor", "tollgate", "tollgate, journal"].iter().enumerate() {
        println!(
            "| {} | {name} | {:.1} | {:.1} | {:.2} | {:.2} |",
            call.name,
            p50(variant),
            percentile(&times[variant], 99),
            p50(variant) / p50(0),
            p50(variant) / p50(1),
        );
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1e6
}

/// wasmtime-wasi without Tollgate.
struct Twin {
    engine: Engine,
    pre: bindings::ToolProviderPre<State>,
    event_loop: tokio::runtime::Runtime,
    folder: std::path::PathBuf,
    on_calling_thread: bool,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Tollgate's own import, which every tool of its SDK has. The calls that are measured succeed without it.
impl call::Host for State {
    fn get_context(&mut self) -> call::Context {
        unreachable!("the tool asks for no context")
    }

    fn fail(&mut self, code: String, message: String) {
        unreachable!("the tool fails: {code}: {message}")
    }
}

impl Twin {
    fn new(config: Config, event_loop: tokio::runtime::Runtime, component: &[u8], lab: &Lab, inline: bool) -> Self {
        let engine = Engine::new(&config).expect("an engine");
        let component = Component::new(&engine, component).expect("a component");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("a linker");
        call::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state).expect("a linker");
        let pre = linker.instantiate_pre(&component).expect("linked");
        let pre = bindings::ToolProviderPre::new(pre).expect("a tool");
        let ticker = engine.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(EPOCH_TICK);
                ticker.increment_epoch();
            }
        });
        Self { engine, pre, event_loop, folder: lab.path("data"), on_calling_thread: inline }
    }

    fn call(&self, call: &Call) -> String {
        self.event_loop.block_on(async {
            let mut wasi = WasiCtx::builder();
            wasi.allow_blocking_current_thread(self.on_calling_thread);
            wasi.preopened_dir(&self.folder, "/data", FsPerms::ReadOnly).expect("a preopen");
            let state = State { wasi: wasi.build(), table: ResourceTable::new() };
            let mut store = Store::new(&self.engine, state);
            store.set_fuel(1_000_000_000).expect("fuel is on");
            store.set_epoch_deadline(1_000);
            let instance = self.pre.instantiate_async(&mut store).await.expect("an instance");
            let tool = instance.tollgate_tool_tool();
            let answer = tool.call_invoke(&mut store, call.operation, call.arguments).await;
            answer.expect("no trap").expect("an answer")
        })
    }
}

fn stock_config() -> Config {
    let mut config = Config::new();
    config.consume_fuel(true).epoch_interruption(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
    config
}

fn multi_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("an event loop")
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop")
}
