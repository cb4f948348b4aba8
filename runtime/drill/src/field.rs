//! Where attacks are made: workers that are all sealed alike, one for each attack.

use tollgate::ProcessCommand;
use tollgate::kernel_plan::plan;
use tollgate::sandbox::KernelPlan;
use tollgate::supervisor::{Supervisor, ToolSpec, Trial};
use tollgate::worker::ThreadKind;
use tollgate_capability::{Access, CapabilitySet, FsCapability, PrivateSet};

use super::order::{DrillOrder, outcome_in};
use super::scene::Scene;
use super::target::{DrillError, Target, judged};
use super::verdict::{Drilled, Verdict};
use super::{Attack, Stop};

/// Workers of one tool, or of none.
#[derive(Debug)]
pub struct Field {
    trial: Trial,
    // The program that attacks, and how it is told that it is a worker.
    command: ProcessCommand,
    plan: KernelPlan,
    // What workers are sealed for that have no tool.
    set: Option<CapabilitySet>,
    is_granted: bool,
}

impl Field {
    /// Workers without a tool, and with nothing granted.
    ///
    /// # Errors
    ///
    /// The supervisor has ended.
    pub fn bare(supervisor: &Supervisor, command: &ProcessCommand) -> Result<Self, DrillError> {
        Self::of(supervisor, command, Vec::new(), CapabilitySet::default(), true)
    }

    /// Workers without a tool, and with the folder of the scene granted, with every right.
    ///
    /// # Errors
    ///
    /// The supervisor has ended.
    pub fn with_folder(supervisor: &Supervisor, command: &ProcessCommand, scene: &Scene) -> Result<Self, DrillError> {
        let access = Access::ALL.into_iter().collect();
        let folder =
            FsCapability { write_quota: WRITE_QUOTA, ..FsCapability::new("/drill", scene.granted_folder(), access) };
        Self::of(supervisor, command, Vec::new(), CapabilitySet { fs: vec![folder], ..CapabilitySet::default() }, true)
    }

    /// Workers of this tool. The folder of the scene takes the place of those that are granted, so that no attack comes near
    /// them; the rights stay.
    ///
    /// # Errors
    ///
    /// [`LoadError`](tollgate::LoadError).
    pub fn of_tool(
        supervisor: &Supervisor,
        command: &ProcessCommand,
        scene: &Scene,
        mut tool: ToolSpec,
    ) -> Result<Self, DrillError> {
        for granted in &mut tool.load.set.fs {
            (granted.host, granted.opened) = (scene.granted_folder(), None);
        }
        let set = tool.load.set.clone();
        Self::of(supervisor, command, vec![tool], set, false)
    }

    fn of(
        supervisor: &Supervisor,
        command: &ProcessCommand,
        tools: Vec<ToolSpec>,
        set: CapabilitySet,
        has_no_tool: bool,
    ) -> Result<Self, DrillError> {
        let (plan, is_granted) = (plan(&set), !set.fs.is_empty());
        let trial = supervisor.trial(tools)?;
        Ok(Self { trial, command: command.clone(), plan, set: has_no_tool.then_some(set), is_granted })
    }
}

impl Target for Field {
    fn stop(&self, attack: &Attack) -> Option<Stop> {
        Some(attack.stopped_by(&self.plan))
    }

    fn threads(&self) -> &'static [ThreadKind] {
        &ThreadKind::ALL
    }

    fn make(&self, scene: &mut Scene, attack: &Attack, stop: Stop, thread: ThreadKind) -> Result<Verdict, DrillError> {
        let order = DrillOrder {
            attack: attack.name.to_owned(),
            thread,
            aim: scene.aim(self.is_granted)?,
            set: self.set.clone().map(PrivateSet::new),
            is_judged: matches!(stop, Stop::Notary(_)),
        };
        let end = self.trial.run(&order.command(&self.command)?)?;
        let drilled = Drilled { outcome: outcome_in(&end.said), end };
        Ok(judged(scene, stop, thread, &drilled))
    }
}

/// More than any attack writes.
const WRITE_QUOTA: u64 = 1 << 20;
