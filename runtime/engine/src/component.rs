//! A compiled component: how its code comes into this process, and what it imports.

use std::os::fd::OwnedFd;

use tollgate_audit::Digest;
use tollgate_ipc::{is_sealed, while_pages_are_held};
use tollgate_system::os_error;
use wasmtime::component::types::ComponentItem;

use crate::artifact::Artifact;
use crate::engine::Engine;
use crate::error::LoadError;
use crate::executor::LinkerOf;
use crate::instance::bindings::ToolProviderPre;
use crate::instance::{CallState, mapped_code};
use crate::interfaces::{Import, refuse_what_is_no_component};

/// A component, compiled for this machine.
#[derive(Clone)]
pub struct Component {
    inner: wasmtime::component::Component,
    digest: Digest,
    imports: Vec<Import>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Component {
    /// A component that was compiled apart, for `engine`; its code is loaded into this process. For a process that has
    /// sealed itself, or trusts the component: one that broke into its compiler chose the bytes that are parsed here. A
    /// `Supervisor` takes the [`Artifact`] itself, and loads nothing.
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`].
    pub fn from_artifact(engine: &Engine, artifact: &Artifact) -> Result<Self, LoadError> {
        #[allow(unsafe_code, reason = "wasmtime's only way to load compiled code")]
        // SAFETY: the bytes must be what wasmtime made by `Engine::precompile_component`. An `Artifact` has private
        // fields and two constructors. `Artifact::compiled` is called in `Compiler::compile` alone, with what the
        // compiler's process wrote, which does nothing but call that function (`compiler/process.rs`); that the program
        // started there is such a process is what `ProcessCommand` asks for. `Artifact::open` returns only what has a
        // valid HMAC under the local key, which `Artifact::seal` alone makes, of another `Artifact`. The code is in
        // this process's own memory, so nobody changes it in between. Engine and CPU are compared by wasmtime.
        let loaded = unsafe { wasmtime::component::Component::deserialize(&engine.0, artifact.code()) };
        let inner = loaded.map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        make_images(&inner)?;
        let imports = imports(engine, &inner);
        Ok(Self { inner, digest: artifact.component(), imports })
    }

    /// A component that was compiled apart, of which the supervisor has put the code into a file in memory. For workers, whose
    /// engine must be one that [`Engine::for_mapped_code`] made.
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`].
    pub fn from_memory_file(engine: &Engine, code: &OwnedFd, component: Digest) -> Result<Self, LoadError> {
        let failed = |reason: String| LoadError::Engine(reason);
        if !is_sealed(code) {
            return Err(failed("the code of the component can still be changed".to_owned()));
        }
        let mapped = mapped_code::map(code).map_err(|error| failed(format!("its code cannot be mapped: {error}")))?;
        #[allow(unsafe_code, reason = "wasmtime's only way to load compiled code")]
        // SAFETY: as for `from_artifact`: the supervisor puts nothing into such a file but the code of an `Artifact`
        // (`supervisor/group.rs`), and this process takes descriptors from its supervisor alone. The seals, checked above, keep
        // everybody from changing the file, the mapping is private and never written, and it stays until the process ends.
        let loaded = unsafe { wasmtime::component::Component::deserialize_raw(&engine.0, mapped) };
        let inner = loaded.map_err(|error| failed(format!("{error:#}")))?;
        make_images(&inner)?;
        let imports = imports(engine, &inner);
        Ok(Self { inner, digest: component, imports })
    }

    /// Compiles a component in this process; a few hundred milliseconds for a usual tool. For trusted components: others
    /// are compiled by a [`Compiler`](crate::compiler::Compiler), whose process is sealed and capped.
    ///
    /// # Errors
    ///
    /// [`LoadError::NotWasm`], [`LoadError::CoreModule`], [`LoadError::Malformed`].
    pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        refuse_what_is_no_component(bytes)?;
        let inner = wasmtime::component::Component::from_binary(&engine.0, bytes)
            .map_err(|error| LoadError::Malformed { message: format!("{error:#}") })?;
        let imports = imports(engine, &inner);
        Ok(Self { inner, digest: Digest::of(bytes), imports })
    }

    /// SHA-256 of the component's bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// All that it imports.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// Interfaces among the imports that Tollgate does not have.
    #[must_use]
    pub fn unknown_imports(&self) -> Vec<String> {
        let unknown = self.imports.iter().filter(|import| !tollgate_wasi_proxy::links(&import.interface));
        unknown.map(|import| import.interface.clone()).collect()
    }

    /// Whether it imports nothing that Tollgate does not have, and exports the tool interface. Runs nothing.
    ///
    /// # Errors
    ///
    /// [`LoadError::UnknownImports`], [`LoadError::NotATool`].
    pub fn check(&self, engine: &Engine) -> Result<(), LoadError> {
        let linker = LinkerOf::new(&engine.0).map_err(|error| LoadError::Engine(error.to_string()))?;
        self.pre(&linker).map(|_pre| ())
    }

    /// Linked, once for all its calls.
    pub(crate) fn pre(&self, linker: &LinkerOf) -> Result<ToolProviderPre<CallState>, LoadError> {
        let imports = self.unknown_imports();
        if !imports.is_empty() {
            return Err(LoadError::UnknownImports { imports });
        }
        let pre = linker
            .0
            .instantiate_pre(&self.inner)
            .map_err(|error| LoadError::UnknownImports { imports: vec![format!("{error:#}")] })?;
        ToolProviderPre::new(pre).map_err(|error| LoadError::NotATool { message: format!("{error:#}") })
    }
}

/// Makes the images of the memories that calls begin with. wasmtime would make them at the first call: a sealed process cannot.
fn make_images(component: &wasmtime::component::Component) -> Result<(), LoadError> {
    let make = || component.initialize_copy_on_write_image();
    let made = while_pages_are_held(make, |error| os_error(error.as_ref()));
    made.map_err(|error| LoadError::Engine(format!("{error:#}")))
}

fn imports(engine: &Engine, component: &wasmtime::component::Component) -> Vec<Import> {
    let ty = component.component_type();
    let functions = |item: ComponentItem| {
        let ComponentItem::ComponentInstance(instance) = item else { return Vec::new() };
        let exports = instance.exports(&engine.0);
        let functions = exports.filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
        functions.map(|(name, _)| name.to_owned()).collect()
    };
    ty.imports(&engine.0)
        .map(|(name, item)| Import { interface: name.to_owned(), functions: functions(item.ty) })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_number_is_found_behind_what_wasmtime_says() {
        let error = wasmtime::Error::from(io::Error::from_raw_os_error(libc::EBUSY)).context("cannot add seals");
        assert_eq!(os_error(error.as_ref()), Some(libc::EBUSY));
    }
}
